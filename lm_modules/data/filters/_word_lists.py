"""The share of a text's words that stand in a list."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lm_modules.data.filters._shares import plain_words
from lm_modules.data.text_words import ngram_numbers

IN_PAIRS = frozenset({"vi", "zh"})
"""Languages of which two words (or characters) often are one: ROOTS looks them up together too."""


class WordList:
    """Words of a language, to be found in texts whatever their case."""

    def __init__(self, words: Iterable[str], language: str | None):
        self.language = language
        parts = [plain_words(word) for word in words]
        self.single = np.unique(np.concatenate([each for each in parts if len(each) == 1] or [_none()]))
        pairs = [ngram_numbers(each, 2) for each in parts if len(each) == 2 and language in IN_PAIRS]
        self.pairs = np.unique(np.concatenate(pairs or [_none()]))

    def share(self, text: str) -> float | None:
        """Return which share of the words is in the list, at most 1; None of a text without words."""
        words_W = plain_words(text)
        if not len(words_W):
            return None
        found = np.isin(words_W, self.single).sum()
        if len(self.pairs):
            found += np.isin(ngram_numbers(words_W, 2), self.pairs).sum()
        return min(float(found) / len(words_W), 1.0)


def _none() -> np.ndarray:
    return np.empty(0, np.uint64)
