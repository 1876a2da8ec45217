"""A small language model of characters: counts of n-grams, smoothed, in tables of fixed size."""

# C characters, N n-grams

from __future__ import annotations

import re

import numpy as np

from lm_modules.data.filters._characters import code_points
from lm_modules.data.text_words import ngram_numbers

ORDER = 5
TABLE = 2**20
MOST_SCORED = 5_000
WHITE_SPACE = re.compile(r"\s+")
CHARACTERS_OF_UNICODE = 0x110000


class CharacterModel:
    """Predicts a character from up to four before it, interpolated after Witten & Bell (1991).

    Case and the kind of white space do not count. An n-gram has its place in a table by its number; the few that share
    one are counted together. Each process holds 40 MB.
    """

    def __init__(self, text: str):
        codes_C = _codes(text)
        self.counts = []
        """Of the n-grams of 1 to ORDER characters, how often each occurs."""
        self.kinds = []
        """How many different characters follow the first characters of an n-gram, by its first ones."""
        for size in range(1, ORDER + 1):
            numbers_N = ngram_numbers(codes_C, size)
            self.counts.append(np.bincount(_places(numbers_N), minlength=TABLE).astype(np.int32))
            _, first = np.unique(numbers_N, return_index=True)
            before = _places(ngram_numbers(codes_C, size - 1)[first]) if size > 1 else np.zeros(len(first), np.int64)
            self.kinds.append(np.bincount(before, minlength=TABLE if size > 1 else 1).astype(np.int32))
        self.num_characters = len(codes_C)

    def bits_per_character(self, text: str) -> float | None:
        """Return the mean bits of the characters of a text (of its first 5,000); None of a very short one."""
        bits_C = self.bits_of(text[:MOST_SCORED])
        return float(bits_C.mean()) if len(bits_C) > ORDER else None

    def bits_of(self, text: str) -> np.ndarray:
        """Return [characters - 4], the bits of every character that has four before it."""
        codes_C = _codes(text)
        count = max(len(codes_C) - ORDER + 1, 0)
        probability_C = np.full(count, 1 / CHARACTERS_OF_UNICODE)
        for size in range(1, ORDER + 1) if count else ():
            found_C = self.counts[size - 1][_places(ngram_numbers(codes_C, size))[-count:]]
            if size == 1:
                total_C, kinds_C = np.full(count, self.num_characters), np.full(count, self.kinds[0][0])
            else:
                before_C = _places(ngram_numbers(codes_C[:-1], size - 1))[-count:]
                total_C, kinds_C = self.counts[size - 2][before_C], self.kinds[size - 1][before_C]
            mixed_C = (found_C + kinds_C * probability_C) / np.maximum(total_C + kinds_C, 1)
            probability_C = np.where(kinds_C > 0, mixed_C, probability_C)
        return -np.log2(probability_C)


def _codes(text: str) -> np.ndarray:
    return code_points(WHITE_SPACE.sub(" ", text.lower())).astype(np.uint64)


def _places(numbers: np.ndarray) -> np.ndarray:
    return (numbers & np.uint64(TABLE - 1)).astype(np.int64)
