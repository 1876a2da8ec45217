"""Keys in files, read by ranges, so that equal keys of all files meet in memory and others need not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

KEYS_READ_AT_ONCE = 1_000_000


class KeyFiles:
    """Files of uint64 keys, one after the other; the place of a key counts from the first key of the first file.

    A share holds all keys of one range of values, of which there are as many as it takes to stay below `keys_at_once`
    (a single key that occurs more often is not divided). Keys must spread evenly over the 64 bits.
    """

    def __init__(self, paths: Sequence[Path], keys_at_once: int):
        self.paths = list(paths)
        arrays = [np.load(path, mmap_mode="r") for path in paths]
        self.offsets = [int(array.offset) for array in arrays]
        self.sizes = [len(array) for array in arrays]
        self.starts = np.concatenate(([0], np.cumsum(self.sizes))).astype(np.int64)
        self.num_shares = max(-(-int(self.starts[-1]) // keys_at_once), 1)

    def shares(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield for each share the places of its keys, ascending int64, and the keys, uint64."""
        for share in range(self.num_shares):
            read = [each for number in range(len(self.paths)) for each in self._share_of(number, share)]
            yield (
                np.concatenate([np.empty(0, np.int64), *(places for places, _ in read)]),
                np.concatenate([np.empty(0, np.uint64), *(keys for _, keys in read)]),
            )

    def _share_of(self, number: int, share: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for begin in range(0, self.sizes[number], KEYS_READ_AT_ONCE):
            count = min(KEYS_READ_AT_ONCE, self.sizes[number] - begin)
            keys = np.fromfile(self.paths[number], np.uint64, count, offset=self.offsets[number] + 8 * begin)
            found = np.flatnonzero(((keys >> np.uint64(32)) * np.uint64(self.num_shares)) >> np.uint64(32) == share)
            yield self.starts[number] + begin + found, keys[found]

    def by_file(self, places: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of each file that has some of the ascending places, and the places within it."""
        yield from by_part(self.starts, places)


def by_part(starts: np.ndarray, places: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of each part that has some of the ascending places, and the places within it.

    Part n holds the places from `starts[n]` to `starts[n + 1]`.
    """
    bounds = np.searchsorted(places, starts)
    for number in np.flatnonzero(np.diff(bounds)).tolist():
        yield number, places[bounds[number] : bounds[number + 1]] - starts[number]


def runs_of_equals(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each run of equal sorted keys begins, and its length."""
    if not len(keys):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return begins, np.diff(np.append(begins, len(keys)))
