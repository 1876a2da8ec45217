"""The words of a text and the n-grams of them that repeat, measured with numpy."""

# W words, N n-grams, G different n-grams

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import count

import numpy as np

from lm_modules.data.bits import mixed
from lm_modules.data.filters._characters import kinds_of
from lm_modules.data.text_words import words_of

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Words:
    """The words of a text, their numbers and their lengths."""

    def __init__(self, words: tuple[str, ...]):
        self.words = words
        self.lengths_W = np.fromiter(map(len, words), np.int64, len(words))
        self.ends = np.zeros(len(words) + 1, np.int64)
        """Characters before each word, and of all."""
        np.cumsum(self.lengths_W, out=self.ends[1:])
        self._size, self._sums_N = 0, np.zeros(len(words) + 1, np.uint64)

    @property
    def num_characters(self) -> int:
        """Characters of all words."""
        return int(self.ends[-1])

    def characters(self, first: np.ndarray, size: int) -> np.ndarray:
        """Return the characters of the n-grams that begin at the words `first`."""
        return self.ends[first + size] - self.ends[first]

    def longest(self, size: int) -> int:
        """Return the most characters of an n-gram of `size` words."""
        return int(np.maximum.reduce(self.ends[size:] - self.ends[:-size], initial=0))

    def with_any(self, kind: np.uint8) -> np.ndarray:
        """Return [words], whether any character of the word is of the kind."""
        return (self._kinds & kind) > 0

    def ngrams(self, size: int) -> Ngrams:
        """Return the n-grams of `size` words."""
        if size <= self._size:
            self._size, self._sums_N = 0, np.zeros(len(self.words) + 1, np.uint64)
        while self._size < size:  # the polynomial of a longer n-gram from that of a shorter one
            sums_N = self._sums_N[:-1] * MULTIPLIER
            sums_N += self._numbers[self._size :]
            self._size, self._sums_N = self._size + 1, sums_N
        return Ngrams(self, size, self._sums_N)

    @cached_property
    def _kinds(self) -> np.ndarray:
        return np.bitwise_or.reduceat(kinds_of("".join(self.words)), self.ends[:-1])

    @cached_property
    def _numbers(self) -> np.ndarray:
        """Numbers that are equal where words are, from their order in the text: faster than digests of them."""
        order = dict(zip(dict.fromkeys(self.words), count()))
        return mixed(np.fromiter(map(order.__getitem__, self.words), np.uint64, len(self.words)))


@lru_cache(maxsize=2)
def measured_words(text: str) -> Words:
    """Return the words of a text with their measures; those of the last texts are kept for the next filter."""
    return Words(words_of(text))


class Ngrams:
    """The n-grams of one size, sorted so that equal ones are neighbours, in the order of the text."""

    def __init__(self, words: Words, size: int, numbers_N: np.ndarray):
        self.words, self.size = words, size
        # A number and a place in one key, because numpy sorts keys ten times as fast as it sorts places by keys.
        place_bits = np.uint64(len(numbers_N).bit_length())
        self.keys_N = numbers_N << place_bits
        self.keys_N |= np.arange(len(numbers_N), dtype=np.uint64)
        self.keys_N.sort()
        self.place_mask = (np.uint64(1) << place_bits) - np.uint64(1)
        sorted_N = self.keys_N >> place_bits
        self.is_first_N = np.empty(len(numbers_N), bool)
        self.is_first_N[:1] = True
        np.not_equal(sorted_N[1:], sorted_N[:-1], out=self.is_first_N[1:])
        self.starts_G = self.is_first_N.nonzero()[0]

    def places(self, chosen: np.ndarray) -> np.ndarray:
        """Return the first words of the n-grams at some places of the sorted ones."""
        return (self.keys_N[chosen] & self.place_mask).view(np.int64)

    @property
    def repeat(self) -> bool:
        """Whether any occurs twice; if not, no longer one does."""
        return len(self.starts_G) < len(self.keys_N)

    def counts(self) -> np.ndarray:
        """Return [different n-grams], how often each occurs."""
        ends_G = np.empty_like(self.starts_G)
        ends_G[:-1], ends_G[-1:] = self.starts_G[1:], len(self.keys_N)
        return ends_G - self.starts_G

    def commonest(self) -> tuple[int, np.ndarray]:
        """Return how often the commonest occurs, and the first word of each that occurs as often."""
        counts_G = self.counts()
        most = int(np.maximum.reduce(counts_G, initial=0))
        return most, self.places(self.starts_G[counts_G == most])

    def characters_of_copies(self) -> int:
        """Return the characters of the words that stand in n-grams that occurred before.

        So many at most stand in longer ones too: what a longer one holds has occurred before with it.
        """
        copied_W = np.zeros(len(self.words.lengths_W), bool)
        places = self.places(~self.is_first_N)
        for word in range(self.size):
            copied_W[places + word] = True
        return int(self.words.lengths_W[copied_W].sum())

    def copied_characters(self, most: float) -> int:
        """Return the characters in n-grams that occurred before, from left to right; none is counted twice.

        Where they cannot be more than `most`, 0 will do.
        """
        if self.words.characters(self.places(~self.is_first_N), self.size).sum() <= most:
            return 0
        group_N = self.is_first_N.cumsum()
        repeats_N = self.counts()[group_N - 1] > 1
        places, groups = self.places(repeats_N), group_N[repeats_N]
        in_text = places.argsort()
        seen: set[int] = set()
        total, free = 0, 0
        for place, group in zip(places[in_text].tolist(), groups[in_text].tolist(), strict=True):
            if place < free:
                continue
            if group in seen:
                free = place + self.size
                total += int(self.words.ends[free] - self.words.ends[place])
            else:
                seen.add(group)
        return total
