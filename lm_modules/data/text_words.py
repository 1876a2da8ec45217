"""The one meaning of a word in data preparation, and numbers that stand for words.

A word is what stands between white space; in scripts that put no spaces between words (Chinese, Japanese, Thai, Lao,
Khmer, Burmese) every character, with the marks on it, is one. Punctuation stays with its word. A rule that counts words
moves with this meaning: by tokens of spaCy, where a comma is a word, the Gopher rules drop fifty times as many novels.

The steps of a preparation look at one text after the other, so the words of the last one are kept.
"""

# W words

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
import xxhash

from lm_modules.data.bits import mixed

MOST_WORDS_KEPT = 200_000
"""Words whose number is remembered; some 30 MB."""


MAY_STAND_WITHOUT_SPACES = re.compile("[\u0e00-\u1fff\u2e80-\U0010ffff]")
"""Where the scripts without spaces lie, without the curly quotes and dashes of most prose: told ten times as fast."""


@lru_cache(maxsize=2)
def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    if not text.isascii() and MAY_STAND_WITHOUT_SPACES.search(text):
        text = _without_spaces().sub(r" \g<0> ", text)
    return tuple(text.split())


@cache
def _without_spaces() -> Any:
    import regex

    return regex.compile(r"(?!\p{M})[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*")


class WordNumbers(dict[str, int]):
    """Gives every word a number of 64 bits, the same on every machine: xxh3 of `rewritten(word)` in UTF-8.

    Words for which `rewritten` returns "" have the number 0.
    """

    def __init__(self, rewritten: Callable[[str], str] = str) -> None:
        super().__init__()
        self.rewritten = rewritten

    def __missing__(self, word: str) -> int:
        if len(self) >= MOST_WORDS_KEPT:
            self.clear()
        text = self.rewritten(word)
        number = self[word] = xxhash.xxh3_64_intdigest(text.encode(errors="surrogatepass")) if text else 0
        return number

    def of(self, words: tuple[str, ...]) -> np.ndarray:
        """Return [words], uint64."""
        return np.fromiter(map(self.__getitem__, words), np.uint64, len(words))


def ngram_numbers(numbers_W: np.ndarray, size: int) -> np.ndarray:
    """Return [max(words - size + 1, 0)], uint64: a number for every run of `size` words, from the words' numbers.

    A polynomial over the ring of 64-bit numbers (Karp & Rabin 1987), each sum mixed once more, since its low bits
    would depend on the words' low bits alone.
    """
    count = max(len(numbers_W) - size + 1, 0)
    sums = np.zeros(count, np.uint64)
    for place in range(size):
        sums *= np.uint64(0x9E3779B97F4A7C15)
        sums += numbers_W[place : place + count]
    return mixed(sums)
