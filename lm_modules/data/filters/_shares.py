"""The shares of a text that the rules of ROOTS put limits to."""

from __future__ import annotations

from functools import cache
from math import isqrt

import numpy as np

from lm_modules.data.filters._characters import IN_WORDS, LETTER_OR_MARK, code_points, kinds_of
from lm_modules.data.text_words import WordNumbers, ngram_numbers, words_of


def repeated_characters(text: str, size: int) -> float:
    """Return the share of the commonest runs of `size` characters: as many as the root of the number of different ones.

    None of these occurs only once.
    """
    counts_G = np.sort(_occurrences(ngram_numbers(code_points(text).astype(np.uint64), size)))
    num_commonest = min(isqrt(len(counts_G)), int((counts_G > 1).sum()))
    return float(counts_G[len(counts_G) - num_commonest :].sum() / counts_G.sum()) if len(counts_G) else 0.0


def repeated_words(text: str, size: int) -> float:
    """Return the share of the runs of `size` words that occur more than once."""
    counts_G = _occurrences(ngram_numbers(plain_words(text), size))
    return float(counts_G[counts_G > 1].sum() / counts_G.sum()) if len(counts_G) else 0.0


def special_characters(text: str) -> float:
    """Return the share of the characters that are neither letters nor marks."""
    return float((kinds_of(text) & LETTER_OR_MARK == 0).mean()) if text else 0.0


def characters_outside_words(text: str) -> float:
    """Return the share of the characters that are neither letters, digits nor underscores."""
    return float((kinds_of(text) & IN_WORDS == 0).mean()) if text else 0.0


def plain_words(text: str) -> np.ndarray:
    """Return [words], a number of 64 bits for every word in lower case, without what is no letter at its ends.

    Words of which nothing is left are left out.
    """
    numbers_W = _numbers().of(words_of(text))
    return numbers_W[numbers_W != 0]


@cache
def _numbers() -> WordNumbers:
    import regex

    ends = regex.compile(r"^[^\p{L}\p{M}]+|[^\p{L}\p{M}]+$")
    return WordNumbers(lambda word: ends.sub("", word.lower()))


def _occurrences(numbers_N: np.ndarray) -> np.ndarray:
    """Return [different numbers], how often each occurs."""
    sorted_N = np.sort(numbers_N)
    first_N = np.flatnonzero(np.append(True, sorted_N[1:] != sorted_N[:-1])) if len(sorted_N) else np.empty(0, np.int64)
    return np.diff(first_N, append=len(sorted_N)) if len(sorted_N) else first_N
