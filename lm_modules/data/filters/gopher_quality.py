"""Drops what does not read like a page of prose: too short or long, symbols, bullets, cut-off lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._scripts import WITHOUT_SPACES

if TYPE_CHECKING:
    from lm_modules.data.filters._ngrams import Words

ELLIPSES, BULLETS = ("...", "…"), ("•", "-")
ENGLISH = ("the", "be", "to", "of", "and", "that", "have", "with")


class GopherQuality(Filter):
    """The quality rules of MassiveText (Gopher: Rae et al. 2021, arXiv 2112.11446, appendix A.1.1).

    As in DataTrove, a word that has neither letter nor digit ("--") counts only where a share of all words
    is asked for.
    """

    kind: Literal["gopher_quality"] = "gopher_quality"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    min_words: int = Field(default=50, ge=0)
    """Fewest words."""
    max_words: int = Field(default=100_000, ge=1)
    """Most words."""
    min_word_length: float = Field(default=3, ge=0)
    """Smallest mean length of the words; not asked of scripts without spaces."""
    max_word_length: float = Field(default=10, gt=0)
    """Largest mean length of the words."""
    max_hashes: float = Field(default=0.1, ge=0)
    """Most "#" for each word."""
    max_ellipses: float = Field(default=0.1, ge=0)
    """Most "..." or "…" for each word."""
    max_bullet_lines: float = Field(default=0.9, ge=0, le=1)
    """Largest share of the lines that begin with a bullet."""
    max_ellipsis_lines: float = Field(default=0.3, ge=0, le=1)
    """Largest share of the lines that end with an ellipsis."""
    min_alphabetic_words: float = Field(default=0.8, ge=0, le=1)
    """Smallest share of the words that have a letter."""
    min_common_words: int = Field(default=2, ge=0)
    """How many of the common words there must be."""
    common_words: dict[str, tuple[str, ...]] = Field(default={"en": ENGLISH})
    """Language -> its common words. The rule is left out for other languages; a document without a language counts as
    English."""

    def cannot_judge(self, language: str | None) -> str | None:
        """Return what it leaves out: lengths where a character is a word, common words of a language without a list."""
        left_out = ["the length of words"] if language in WITHOUT_SPACES else []
        left_out += [] if (language or "en") in self.common_words else ["common words"]
        return f"{' and '.join(left_out)} cannot be judged" if left_out else None

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the first rule that the document breaks."""
        from lm_modules.data.filters._ngrams import measured_words

        words = measured_words(document.text)
        if not words.words:
            return f"fewer than {self.min_words} words" if self.min_words else None
        return (
            self._lengths(words, document.language)
            or self._lines(document.text, len(words.words))
            or self._letters(words, document.language or "en")
        )

    def _lengths(self, words: Words, language: str | None) -> str | None:
        from lm_modules.data.filters._characters import IN_WORDS

        spoken_W = words.with_any(IN_WORDS)
        num_words = int(spoken_W.sum())
        if num_words < self.min_words:
            return f"fewer than {self.min_words} words"
        if num_words > self.max_words:
            return f"more than {self.max_words} words"
        length = words.lengths_W[spoken_W].mean() if num_words else 0.0
        if length < self.min_word_length and language not in WITHOUT_SPACES:
            return f"words shorter than {self.min_word_length:g} characters in the mean"
        if length > self.max_word_length:
            return f"words longer than {self.max_word_length:g} characters in the mean"
        return None

    def _lines(self, text: str, num_words: int) -> str | None:
        if text.count("#") / num_words > self.max_hashes:
            return f"more than {self.max_hashes:g} hashes for each word"
        num_ellipses = sum(map(text.count, ELLIPSES))
        if num_ellipses / num_words > self.max_ellipses:
            return f"more than {self.max_ellipses:g} ellipses for each word"
        lines = text.splitlines()
        if sum(line.lstrip().startswith(BULLETS) for line in lines) / len(lines) > self.max_bullet_lines:
            return f"more than {self.max_bullet_lines:g} of the lines begin with a bullet"
        if (
            num_ellipses
            and sum(line.rstrip().endswith(ELLIPSES) for line in lines) / len(lines) > self.max_ellipsis_lines
        ):
            return f"more than {self.max_ellipsis_lines:g} of the lines end with an ellipsis"
        return None

    def _letters(self, words: Words, language: str) -> str | None:
        from lm_modules.data.filters._characters import ALPHABETIC

        if words.with_any(ALPHABETIC).mean() < self.min_alphabetic_words:
            return f"fewer than {self.min_alphabetic_words:g} of the words have a letter"
        common = self.common_words.get(language)
        if common is not None and len(set(common).intersection(words.words)) < self.min_common_words:
            return f"fewer than {self.min_common_words} of the common words"
        return None
