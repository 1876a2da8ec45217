"""What kind each character is, for a whole text at once."""

# C characters

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np

ALPHABETIC, IN_WORDS, LETTER_OR_MARK = np.uint8(1), np.uint8(2), np.uint8(4)
"""Kinds: Python's `isalpha`; what `\\w` matches; what Unicode calls a letter or a mark."""


def code_points(text: str) -> np.ndarray:
    """Return [characters], the numbers of the characters."""
    if text.isascii():
        return np.frombuffer(text.encode(), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def kinds_of(text: str) -> np.ndarray:
    """Return [characters], the kinds of each character, added up."""
    return (_ascii() if text.isascii() else _all())[code_points(text)]


@cache
def _ascii() -> np.ndarray:
    return _kinds(128)


@cache
def _all() -> np.ndarray:
    """Return the kinds of all of Unicode, a megabyte."""
    return _kinds(0x110000)


def _kinds(count: int) -> np.ndarray:
    characters = list(map(chr, range(count)))
    alphabetic_C = np.fromiter(map(str.isalpha, characters), bool, count)
    in_words_C = np.fromiter((each.isalnum() or each == "_" for each in characters), bool, count)
    letter_or_mark_C = np.fromiter((unicodedata.category(each)[0] in "LM" for each in characters), bool, count)
    return alphabetic_C * ALPHABETIC + in_words_C * IN_WORDS + letter_or_mark_C * LETTER_OR_MARK
