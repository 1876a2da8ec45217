"""Drops what has too few words to judge or to learn from, by the measure of its language."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._roots import chosen, limits_of


class WordCount(Filter):
    """Bounds of ROOTS on the number of words (Laurençon et al. 2022, arXiv 2303.03915, section 3.2).

    Words are counted that have a letter; `length` bounds words and characters without regard to the language.
    """

    kind: Literal["word_count"] = "word_count"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    min_words: dict[str, float] = Field(default={})
    """Language (or "default" for all others) -> fewest words, in place of those of ROOTS (en 20, hi 38, others 10)."""
    max_words: int = Field(default=100_000, ge=1)
    """Most words; ten times as many in Chinese, of which a character is a word."""

    def reason_to_drop(self, document: Document) -> str | None:
        """Return which bound the document breaks."""
        from lm_modules.data.filters._shares import plain_words

        num_words = len(plain_words(document.text))
        least = chosen(self.min_words, document.language, limits_of(document.language).least_words)
        most = self.max_words * 10 if document.language == "zh" else self.max_words
        if num_words < least:
            return f"fewer than {least:g} words"
        return f"more than {most} words" if num_words > most else None
