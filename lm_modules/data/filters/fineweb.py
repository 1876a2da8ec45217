"""Drops pages that are lists, menus or the same lines again: what few full sentences show."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter

WITHOUT_FULL_STOPS = frozenset({"th", "lo"})
"""Languages that end a sentence with a space."""


class Fineweb(Filter):
    """The rules that FineWeb adds to those of Gopher and C4 (Penedo et al. 2024, arXiv 2406.17557, section 3.6).

    They read lines as the web has them: text that is broken at a width has few lines that end a sentence.
    """

    kind: Literal["fineweb"] = "fineweb"
    profiles: tuple[Profile, ...] | None = ("web",)
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    min_ended_lines: float = Field(default=0.12, ge=0, le=1)
    """Smallest share of the lines that end like a sentence (Unicode's property Sentence_Terminal)."""
    max_short_lines: float = Field(default=0.67, ge=0, le=1)
    """Largest share of the lines that are short."""
    short_line_characters: int = Field(default=30, ge=0)
    """A line of at most so many characters is short."""
    max_copied_line_characters: float = Field(default=0.01, ge=0, le=1)
    """Largest share of the characters that stand in copies of earlier lines."""
    max_newlines: float = Field(default=0.3, ge=0)
    """Most line ends for each word."""

    def cannot_judge(self, language: str | None) -> str | None:
        """Return what it leaves out for languages without full stops."""
        return "ends of sentences cannot be seen" if language in WITHOUT_FULL_STOPS else None

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the first rule that the document breaks."""
        from lm_modules.data.text_words import words_of

        text = document.text
        lines = [line for line in text.split("\n") if line and not line.isspace()]
        if not lines:
            return "no line with text"
        ended = sum(line[-1] in _sentence_ends() for line in lines)
        if ended / len(lines) < self.min_ended_lines and document.language not in WITHOUT_FULL_STOPS:
            return f"fewer than {self.min_ended_lines:g} of the lines end a sentence"
        if sum(len(line) <= self.short_line_characters for line in lines) / len(lines) > self.max_short_lines:
            return f"more than {self.max_short_lines:g} of the lines are short"
        num_newlines = text.count("\n")
        copied = sum(map(len, lines)) - sum(map(len, set(lines)))
        if copied / (len(text) - num_newlines) > self.max_copied_line_characters:
            return f"more than {self.max_copied_line_characters:g} of the characters are in copied lines"
        if num_newlines / len(words_of(text)) > self.max_newlines:
            return f"more than {self.max_newlines:g} line ends for each word"
        return None


@cache
def _sentence_ends() -> frozenset[str]:
    import regex

    return frozenset(regex.findall(r"\p{Sentence_Terminal}", "".join(map(chr, range(0x110000)))))
