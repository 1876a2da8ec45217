"""Runs of words that are compared without case and punctuation: numbers to find them fast, digests to be sure.

    text        She said: "It's well-known -- or it WAS."
    words       she said its well known or it was
    runs of 3   she said its | said its well | its well known | ...

Words are those of `text_words`, but punctuation parts them, and full stops and apostrophes go. Numpy works on all
characters of a text at once, so that no word becomes an object of Python.
"""

# C characters, W words

from __future__ import annotations

import sys
import unicodedata
from functools import cache

import numpy as np
import xxhash

from lm_modules.data.bits import mixed

GOES = ".'\u2019\u02bc"
SPACE, LETTER, ALONE, MARK_OF_ALONE, LEFT_OUT = range(5)
"""Kinds of characters: `ALONE` is a word by itself, in scripts that put no spaces between words."""
FACTOR = 0x9E3779B97F4A7C15


class RunsOfWords:
    """The words of a text, and numbers of 64 bits for their runs."""

    def __init__(self, text: str) -> None:
        if not text.isascii():
            text = unicodedata.normalize("NFC", text).replace(
                "\u00df", "ss"
            )  # the only common letter with two capitals
        codes_C = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        kinds, folded = _characters()
        kinds_C = kinds[codes_C]
        kept_C = kinds_C != LEFT_OUT
        codes_C, kinds_C = folded[codes_C[kept_C]], kinds_C[kept_C]
        letters_C = kinds_C != SPACE
        before_C = np.concatenate([[np.uint8(SPACE)], kinds_C[:-1]]) if len(kinds_C) else kinds_C
        begins_C = (letters_C & (before_C == SPACE)) | (kinds_C == ALONE) | ((kinds_C == LETTER) & (before_C >= ALONE))
        self._codes = codes_C[letters_C]
        self._begins_W = np.flatnonzero(begins_C[letters_C])
        self._ends_W = np.append(self._begins_W[1:], len(self._codes))
        sums = _sums(self._codes.astype(np.uint64))
        self._sums = _sums(mixed(_between(sums, self._begins_W, self._ends_W)))
        self.num_words = len(self._begins_W)

    def numbers(self, size: int) -> np.ndarray:
        """Return [max(words - size + 1, 0)], uint64: a number for every run of `size` words, equal for equal runs."""
        starts = np.arange(max(self.num_words - size + 1, 0))
        return self.numbers_at(starts, np.full_like(starts, size))

    def numbers_at(self, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Return the numbers of chosen runs; one that would end after the text gets the number of what is there."""
        return _between(self._sums, starts, np.minimum(starts + sizes, self.num_words))

    def words(self, start: int, size: int) -> list[str]:
        """Return a run of words as it is compared."""
        bounds = zip(self._begins_W[start : start + size], self._ends_W[start : start + size], strict=True)
        return [self._codes[begin:end].tobytes().decode("utf-32-le", "surrogatepass") for begin, end in bounds]

    def digest(self, start: int, size: int) -> bytes:
        """Return 16 bytes that only equal runs share."""
        return xxhash.xxh3_128_digest(" ".join(self.words(start, size)).encode(errors="surrogatepass"))


def _sums(numbers: np.ndarray) -> np.ndarray:
    """Return [count + 1]: sums of number * FACTOR ** -place modulo 2 ** 64, from which `_between` tells any part."""
    sums = np.zeros(len(numbers) + 1, np.uint64)
    np.cumsum(numbers * _powers(_enough(len(numbers)))[1][: len(numbers)], out=sums[1:])
    return sums


def _between(sums: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the polynomial of the numbers from `begins` to before `ends` (Karp & Rabin 1987), wherever they stand."""
    return (sums[ends] - sums[begins]) * _powers(_enough(len(sums)))[0][ends - 1]


def _enough(count: int) -> int:
    return 1 << max(count, 1024).bit_length()


@cache
def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return FACTOR ** place and FACTOR ** -place, modulo 2 ** 64, for so many places."""
    factors = np.full((2, count), FACTOR, np.uint64)
    factors[1] = pow(FACTOR, -1, 2**64)
    factors[:, 0] = 1
    powers, inverses = np.cumprod(factors, axis=1)
    return powers, inverses


@cache
def _characters() -> tuple[np.ndarray, np.ndarray]:
    """Return for every character its kind, and the character in lower case."""
    import regex

    kinds = np.full(sys.maxunicode + 1, LEFT_OUT, np.uint8)
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    scripts = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
    for kind, pattern in (
        (LETTER, r"[\p{L}\p{M}\p{N}]+"),
        (ALONE, rf"(?!\p{{M}}){scripts}"),
        (MARK_OF_ALONE, rf"(?=\p{{M}}){scripts}"),
        (SPACE, r"[\s\p{P}\p{S}\x1c-\x1f]+"),
        (LEFT_OUT, f"[{GOES}]"),
    ):
        for match in regex.finditer(pattern, everything):
            kinds[match.start() : match.end()] = kind
    folded = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    for number, character in enumerate(everything[:0x20000]):
        if len(fold := character.casefold()) == 1:
            folded[number] = ord(fold)
    return kinds, folded
