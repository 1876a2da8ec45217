"""Train, validation or test by a hash of the document's group or id: adding documents moves none of the others."""

from __future__ import annotations

import hashlib


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
