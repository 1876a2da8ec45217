"""Drops texts that say the same words in a row again."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._roots import LANGUAGES, chosen, limits_of
from lm_modules.data.filters._scripts import WITHOUT_SPACES


class WordRepetition(Filter):
    """The rule of ROOTS on repeated words (Laurençon et al. 2022, arXiv 2303.03915, section 3.2).

    The share of the runs of five words (seven in Urdu), in lower case, that occur more than once.
    """

    kind: Literal["word_repetition"] = "word_repetition"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    max_share: dict[str, float] = Field(default={})
    """Language (or "default" for all others) -> largest share, in place of those of ROOTS (en 0.19, others 0.3)."""

    def cannot_judge(self, language: str | None) -> str | None:
        """Return why it leaves out languages without spaces that ROOTS has no share for."""
        if language in WITHOUT_SPACES - LANGUAGES and language not in self.max_share:
            return "a character stands for a word, and a run of characters repeats in any text; give it a max_share"
        return None

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the reason when the share is above that of the language."""
        from lm_modules.data.filters._shares import repeated_words

        if self.cannot_judge(document.language):
            return None
        limits = limits_of(document.language)
        most = chosen(self.max_share, document.language, limits.most_word_repetition)
        if repeated_words(document.text, limits.word_ngram) > most:
            return f"more than {most:g} of the runs of {limits.word_ngram} words occur again"
        return None
