"""Sketches of texts: a few hundred numbers that tell how much two texts have in common without the texts.

Both ways begin with shingles: the number of every run of a few words. MinHash (Broder 1997) keeps for each of many
random orders of all shingles the one that comes first; two texts agree in as many firsts as their sets of shingles
have in common, |A and B| / |A or B|. SimHash (Charikar 2002) lets every shingle vote on each of 64 bits.
"""

# W words, S shingles, N numbers of a sketch

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import combinations, pairwise

import numpy as np
import regex
import xxhash

from lm_modules.data.bits import mixed
from lm_modules.data.text_words import WordNumbers, ngram_numbers, words_of

SHINGLES_AT_ONCE = 1_024
"""So few that their products stay in a cache of the processor."""
MOST_FIGURES_FRACTION = 0.5

DIGITS = re.compile(r"\d+")
NOT_PLAIN = {each: None for each in range(128) if not chr(each).isalnum()}
MARKS = regex.compile(r"[\p{P}\p{S}\p{C}\p{Mn}]+")
PUNCTUATION = regex.compile(r"\p{P}+")


def simplified(word: str) -> str:
    """Return the word in lower case without punctuation, signs and accents, and 0 for every run of digits.

    A word of which half or more are digits is a figure, and 0 altogether: "1,234.5", "1.5e-07", "3d".
    """
    word = word.lower()
    word = word.translate(NOT_PLAIN) if word.isascii() else MARKS.sub("", unicodedata.normalize("NFD", word))
    if word.isalpha():
        return word
    without = DIGITS.sub("", word)
    return "0" if word and len(without) <= len(word) / 2 else DIGITS.sub("0", word)


def without_punctuation(word: str) -> str:
    """Return the word in lower case without punctuation."""
    return PUNCTUATION.sub("", word.lower())


SIMPLIFIED = WordNumbers(simplified)
AS_WRITTEN = WordNumbers()
WITHOUT_PUNCTUATION = WordNumbers(without_punctuation)


def minima(text: str, shingle_words: int, num_numbers: int) -> np.ndarray:
    """Return [num_numbers], uint32: for each order the first of the text's shingles.

    Words are simplified. In a text that is figures for the most part they are taken as they are written, since all
    tables would be alike otherwise. The orders are those of `a * shingle + b` in the ring of 32-bit numbers with odd a.
    """
    numbers_W = SIMPLIFIED.of(words_of(text))
    numbers_W = numbers_W[numbers_W != 0]
    if (numbers_W == SIMPLIFIED["0"]).sum() > MOST_FIGURES_FRACTION * len(numbers_W):
        numbers_W = AS_WRITTEN.of(words_of(text))
    shingles_S1 = (_shingles(text, numbers_W, shingle_words) >> np.uint64(32)).astype(np.uint32)[:, None]
    factors_N, terms_N = _orders(num_numbers)
    found_N = np.full(num_numbers, 0xFFFFFFFF, np.uint32)
    products = np.empty((min(len(shingles_S1), SHINGLES_AT_ONCE), num_numbers), np.uint32)
    for start in range(0, len(shingles_S1), SHINGLES_AT_ONCE):
        part_S1 = shingles_S1[start : start + SHINGLES_AT_ONCE]
        products_SN = products[: len(part_S1)]
        np.multiply(part_S1, factors_N, out=products_SN)
        products_SN += terms_N
        np.minimum(found_N, products_SN.min(axis=0), out=found_N)
    return found_N


def votes(text: str, window_words: int) -> np.ndarray:
    """Return [1], uint64: the bits that more than half of the text's shingles have."""
    numbers_W = WITHOUT_PUNCTUATION.of(words_of(text))
    shingles_S = _shingles(text, numbers_W[numbers_W != 0], window_words)
    bits_S64 = np.unpackbits(shingles_S.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1)
    return np.packbits(bits_S64.sum(axis=0, dtype=np.int64) * 2 > len(shingles_S)).view("<u8").astype(np.uint64)


def _shingles(text: str, numbers_W: np.ndarray, size: int) -> np.ndarray:
    """Return [at least 1], uint64: the shingles; of a text without words a number of its own."""
    if not len(numbers_W):
        return np.array([xxhash.xxh3_64_intdigest(" ".join(text.split()).encode(errors="surrogatepass"))], np.uint64)
    return ngram_numbers(numbers_W, min(size, len(numbers_W)))


@cache
def _orders(num_numbers: int) -> tuple[np.ndarray, np.ndarray]:
    chance = (mixed(np.arange(1, 2 * num_numbers + 1, dtype=np.uint64)) >> np.uint64(32)).astype(np.uint32)
    return chance[::2] | np.uint32(1), chance[1::2]


def combined(numbers: np.ndarray) -> np.ndarray:
    """Return the array less its last axis, uint64: one number for all along it."""
    sums = np.zeros(numbers.shape[:-1], np.uint64)
    for place in range(numbers.shape[-1]):
        sums = mixed(sums ^ numbers[..., place]) + np.uint64(place + 1)
    return mixed(sums)


def pairs_of_blocks(bits: np.ndarray, num_blocks: int) -> np.ndarray:
    """Return [documents, pairs of blocks], uint64, from 64 bits of each document, [documents], cut into blocks."""
    ends = [64 * block // num_blocks for block in range(num_blocks + 1)]
    masks = [(1 << end) - (1 << start) for start, end in pairwise(ends)]
    return np.stack([mixed(bits & np.uint64(one | other)) for one, other in combinations(masks, 2)], axis=1)
