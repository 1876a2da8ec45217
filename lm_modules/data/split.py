"""Train, validation or test by a hash of the group, or else of the text: adding documents moves none of the others.

The id decides nothing: it is often the number of a line, and a line put in at the top would deal all others anew.
"""

from __future__ import annotations

import hashlib

from lm_modules.data.documents import Document, Example


def split_key(each: Document | Example) -> str:
    """Return what decides the split and so is never parted: the group, or the text with its copies."""
    return each.group or each.text


def position(key: str, seed: int) -> float:
    """Return where `key` falls in [0, 1), the same on every machine."""
    digest = hashlib.blake2b(f"{seed}\0{key}".encode(errors="surrogatepass"), digest_size=8).digest()
    # 53 bits are what a float holds without rounding up to 1.
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def split_at(place: float, validation_fraction: float, test_fraction: float) -> str:
    """Return the split at a place in [0, 1): | test | validation | train |."""
    if place < test_fraction:
        return "test"
    return "validation" if place < test_fraction + validation_fraction else "train"
