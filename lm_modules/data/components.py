"""Which things belong together when some pairs do: union-find over arrays (after Shiloach & Vishkin 1982)."""

from __future__ import annotations

import numpy as np


class Components:
    """Sets of the numbers below `size`, each named by its smallest; 8 bytes a number."""

    def __init__(self, size: int) -> None:
        self.parents = np.arange(size)

    def roots(self, numbers: np.ndarray) -> np.ndarray:
        """Return the smallest number in the set of each, [numbers], int64."""
        found = self.parents[numbers]
        while not np.array_equal(above := self.parents[found], found):
            found = above
        return found

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        """Make one set of the sets of `first[n]` and `second[n]`, for every n."""
        while True:
            first, second = self.roots(first), self.roots(second)
            apart = first != second
            if not apart.any():
                return
            first, second = first[apart], second[apart]
            higher = np.maximum(first, second)
            # Of several that a root is joined to in one round only the smallest counts; the next round sees the others.
            np.minimum.at(self.parents, higher, np.minimum(first, second))
            self._shorten(np.unique(higher))

    def _shorten(self, numbers: np.ndarray) -> None:
        """Lead each number to its root at once; halves the ways in every round."""
        while not np.array_equal(above := self.parents[self.parents[numbers]], self.parents[numbers]):
            self.parents[numbers] = above

    def all_roots(self) -> np.ndarray:
        """Return the smallest number in the set of every number, [size], int64."""
        self._shorten(np.arange(len(self.parents)))
        return self.parents
