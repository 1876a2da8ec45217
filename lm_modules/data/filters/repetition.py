"""Drops texts that repeat themselves: lists of the same line, boilerplate, loops."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._scripts import WITHOUT_SPACES

if TYPE_CHECKING:
    from lm_modules.data.filters._ngrams import Ngrams, Words

NEWLINES = re.compile("\n+")
EMPTY_LINES = re.compile("\n{2,}")


class Repetition(Filter):
    """The repetition rules of MassiveText (Gopher: Rae et al. 2021, arXiv 2112.11446, table A1), with its thresholds.

    A copy is every occurrence of a line, paragraph or n-gram after its first. The rules are for prose; code repeats by
    its nature.
    """

    kind: Literal["repetition"] = "repetition"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    characters: Literal["of_words", "all"] = "of_words"
    """What characters are counted: those of words, so that indentation does not count, and what occurs once repeats
    nothing; or all of the text, as DataTrove and FineWeb count, where a text of few words is mostly its commonest
    n-gram and is dropped."""
    max_copied_lines: float = Field(default=0.30, ge=0, le=1)
    """Largest share of the lines that are copies."""
    max_copied_line_characters: float = Field(default=0.20, ge=0, le=1)
    """Largest share of the characters that stand in copied lines."""
    max_copied_paragraphs: float = Field(default=0.30, ge=0, le=1)
    """Largest share of the paragraphs that are copies."""
    max_copied_paragraph_characters: float = Field(default=0.20, ge=0, le=1)
    """Largest share of the characters that stand in copied paragraphs."""
    max_commonest: dict[int, float] = Field(default={2: 0.20, 3: 0.18, 4: 0.16})
    """Words of an n-gram -> largest share of the characters that its commonest n-gram covers."""
    max_copied: dict[int, float] = Field(default={5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10})
    """Words of an n-gram -> largest share of the characters that stand in copied n-grams."""

    def cannot_judge(self, language: str | None) -> str | None:
        """Return what it leaves out where no spaces stand between words."""
        return "n-grams of words are for scripts with spaces" if language in WITHOUT_SPACES else None

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the first rule that the document breaks."""
        from lm_modules.data.filters._ngrams import measured_words

        words = measured_words(document.text)
        if not words.words:
            return None
        num_characters = len(document.text) if self.characters == "all" else words.num_characters
        reason = self._copied_parts(document.text, words.num_characters, num_characters)
        if reason is None and document.language not in WITHOUT_SPACES:
            reason = self._repeated_ngrams(words, num_characters)
        return reason

    def _copied_parts(self, text: str, num_visible: int, num_characters: int) -> str | None:
        for unit, most, most_characters in (
            ("lines", self.max_copied_lines, self.max_copied_line_characters),
            ("paragraphs", self.max_copied_paragraphs, self.max_copied_paragraph_characters),
        ):
            parts = _all_parts(text, unit) if self.characters == "all" else _visible_parts(text, unit, num_visible)
            copies = _copies(parts)
            if copies and len(copies) / len(parts) > most:
                return f"more than {most:g} of the {unit} are copies"
            if sum(map(len, copies)) / num_characters > most_characters:
                return f"more than {most_characters:g} of the characters are in copied {unit}"
        return None

    def _repeated_ngrams(self, words: Words, num_characters: int) -> str | None:
        times = len(words.words)
        for size, most in sorted(self.max_commonest.items()):
            if times * (words.longest(size) + size) / num_characters <= most:
                continue  # a longer n-gram occurs no more often than those in it, so it cannot cover enough
            times, characters = self._commonest(words, words.ngrams(size))
            if characters / num_characters > most:
                return f"more than {most:g} of the characters are in one {size}-gram"
        least = min(self.max_copied.values(), default=1.0) * num_characters
        for size, most in sorted(self.max_copied.items()):
            ngrams = words.ngrams(size)
            if not ngrams.repeat or ngrams.characters_of_copies() <= least:
                break
            if ngrams.copied_characters(most * num_characters) / num_characters > most:
                return f"more than {most:g} of the characters are in copied {size}-grams"
        return None

    def _commonest(self, words: Words, ngrams: Ngrams) -> tuple[int, int]:
        """Return how often the commonest n-gram occurs and how many characters it covers."""
        times, first_words = ngrams.commonest()
        if not times or (times == 1 and self.characters == "of_words"):
            return times, 0
        if self.characters == "all":
            return times, times * (int(words.characters(first_words.min(), ngrams.size)) + ngrams.size - 1)
        return times, times * int(words.characters(first_words, ngrams.size).max())


def _all_parts(text: str, unit: str) -> list[str]:
    return NEWLINES.split(text) if unit == "lines" else EMPTY_LINES.split(text.strip())


def _visible_parts(text: str, unit: str, num_visible: int) -> list[str]:
    """Return the lines or paragraphs without their white space."""
    if unit == "paragraphs" and "\n\n" not in text:
        return [text]
    plain = len(text) - text.count(" ") - text.count("\t") - text.count("\n") == num_visible  # and no other white space
    if unit == "lines" and plain:
        parts = text.replace(" ", "").replace("\t", "").split("\n")
    elif plain and "\0" not in text:
        parts = text.replace("\n\n", "\0").replace(" ", "").replace("\t", "").replace("\n", "").split("\0")
    else:
        parts = ["".join(each.split()) for each in text.split("\n" if unit == "lines" else "\n\n")]
    return list(filter(None, parts))


def _copies(parts: Sequence[str]) -> list[str]:
    if len(set(parts)) == len(parts):
        return []
    seen: set[str] = set()
    return [part for part in parts if part in seen or seen.add(part)]  # type: ignore[func-returns-value]
