"""How long the documents of a corpus are, and in which languages, counted in little memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lm_modules.data.documents import Document
from lm_modules.data.text_words import words_of

PERCENTILES = (1, 10, 25, 50, 75, 90, 99)


class Lengths:
    """Counts lengths in characters and words to two digits, and documents and characters by language."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("characters", "words", "documents_by_language", "characters_by_language")
        }

    def add(self, document: Document) -> None:
        """Count a document."""
        num_characters, language = len(document.text), document.language or "unknown"
        self.counts["characters"][str(_rounded(num_characters))] += 1
        self.counts["words"][str(_rounded(len(words_of(document.text))))] += 1
        self.counts["documents_by_language"][language] += 1
        self.counts["characters_by_language"][language] += num_characters

    def merge(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """Add what `as_dict` gave of another part."""
        for name, each in counts.items():
            self.counts[name].update(each)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts for JSON."""
        return {name: dict(each) for name, each in self.counts.items()}

    def percentiles(self, unit: str) -> dict[str, int]:
        """Return the smallest length that enough documents do not exceed: {"p1": 12, ...}."""
        found, below, remaining = {}, 0, list(PERCENTILES)
        lengths = Counter({int(length): count for length, count in self.counts[unit].items()})
        for length, count in sorted(lengths.items()):
            below += count
            while remaining and below >= remaining[0] / 100 * lengths.total():
                found[f"p{remaining.pop(0)}"] = length
        return found

    def languages(self) -> dict[str, dict[str, int]]:
        """Return documents and characters of each language, the largest first."""
        documents, characters = self.counts["documents_by_language"], self.counts["characters_by_language"]
        order = sorted(characters, key=lambda name: (-characters[name], name))
        return {name: {"documents": documents[name], "characters": characters[name]} for name in order}


def _rounded(length: int) -> int:
    """Return the length to two digits, so that counting lengths takes little memory."""
    digits = max(len(str(length)) - 2, 0)
    return int(round(length, -digits))
