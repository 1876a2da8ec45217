"""Drops texts that repeat themselves: lists of the same line, boilerplate, loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lm_modules.data.documents import Document
from lm_modules.data.filters import Filter


class Repetition(Filter):
    """The repetition rules of MassiveText (Gopher: Rae et al. 2021, arXiv 2112.11446, table A1), with its thresholds.

    Words are what stands between white space; characters are those of words, so indentation does not count.
    A copy is every occurrence of a line, paragraph or n-gram after its first. The rules are for prose; code repeats by
    its nature, so name the sources that are prose in `sources`.
    """

    kind: Literal["repetition"] = "repetition"
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

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the first rule that the document breaks."""
        words = document.text.split()
        num_characters = sum(map(len, words))
        if not num_characters:
            return None
        for unit, separator, most, most_characters in (
            ("lines", "\n", self.max_copied_lines, self.max_copied_line_characters),
            ("paragraphs", "\n\n", self.max_copied_paragraphs, self.max_copied_paragraph_characters),
        ):
            parts = [part for each in document.text.split(separator) if (part := "".join(each.split()))]
            copies = _copies(parts)
            if len(copies) > most * len(parts):
                return f"more than {most:g} of the {unit} are copies"
            if sum(map(len, copies)) > most_characters * num_characters:
                return f"more than {most_characters:g} of the characters are in copied {unit}"
        lengths = [len(word) for word in words]
        for size, most in self.max_commonest.items():
            if _commonest_characters(words, size) > most * num_characters:
                return f"more than {most:g} of the characters are in one {size}-gram"
        for size, most in self.max_copied.items():
            if _copied_characters(words, lengths, size) > most * num_characters:
                return f"more than {most:g} of the characters are in copied {size}-grams"
        return None


def _copies(parts: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return [part for part in parts if part in seen or seen.add(part)]  # type: ignore[func-returns-value]


def _commonest_characters(words: list[str], size: int) -> int:
    """Return the characters that the commonest n-gram covers; one that occurs once repeats nothing."""
    counts = Counter(zip(*(words[start:] for start in range(size)), strict=False))
    if not counts or (most := max(counts.values())) == 1:
        return 0
    return most * max(sum(map(len, ngram)) for ngram, count in counts.items() if count == most)


def _copied_characters(words: list[str], lengths: list[int], size: int) -> int:
    """Return the characters in n-grams that occurred before; none is counted twice."""
    seen, total, position = set(), 0, 0
    ngrams = list(zip(*(words[start:] for start in range(size)), strict=False))
    while position < len(ngrams):
        ngram = ngrams[position]
        if ngram in seen:
            total += sum(lengths[position : position + size])
            position += size
        else:
            seen.add(ngram)
            position += 1
    return total
