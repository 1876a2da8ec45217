"""Train, validation or test by a hash of the group, or else of the text: adding documents moves none of the others.

The id decides nothing: it is often the number of a line, and a line put in at the top would deal all others anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from configs.data_preparation import SplitConfig
from lm_modules.data.documents import Document

SPARE_GROUPS = 3
"""Three, so that one is left for train when two splits are empty."""


def split_key(document: Document) -> str:
    """Return what decides the split and so is never parted: the group, or the text with its copies."""
    return document.group or document.text


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


def split_of(document: Document, config: SplitConfig, seed: int) -> str:
    """Return the split of a document: its own, or the one at its place."""
    if document.split:
        return document.split
    return split_at(position(split_key(document), seed), config.validation_fraction, config.test_fraction)


class NearestTrain:
    """The documents of train that come next after the held-out ones, for splits that would be empty."""

    def __init__(self, seed: int):
        self.seed = seed
        self.names: dict[str, tuple[float, str]] = {}
        """By `split_key`: place and name, the nearest first."""

    def add(self, document: Document) -> None:
        """Take a document into account if it is of train."""
        if document.split == "train":
            key = split_key(document)
            self.merge({key: (position(key, self.seed), document.group or document.id)})

    def merge(self, others: Mapping[str, tuple[float, str]]) -> None:
        """Take the train documents of another part into account; of equal keys the first counts."""
        known = {**others, **self.names}
        self.names = dict(sorted(known.items(), key=lambda item: item[1][0])[:SPARE_GROUPS])
