"""Clusters of copies over a whole corpus, from the sketches of its documents in files.

    sketches of each part --> keys, a file for each column --> documents that share a key --> compared by their sketches
                                                                --> those alike are joined --> the first of each is kept

The result does not depend on how many processes made the files nor in which order, only on the order of the documents.
Memory holds 17 bytes for each document, the keys of one share of one column, and the sketches that are compared.
"""

# D documents of a part, M members of groups that share a key

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lm_modules.data.components import Components
from lm_modules.data.deduplication import CopiedDocuments
from lm_modules.data.key_files import KeyFiles, by_part, runs_of_equals

KEYS_AT_ONCE = 4_000_000
"""Keys that are sorted together; with their places and order some 150 MB."""
DOCUMENTS_AT_ONCE = 8_192
"""Sketches of which keys are made."""
PAIRS_AT_ONCE = 8_192
"""Pairs that are compared."""
MOST_COMPARED = 1_000
"""Members of the largest group of which all pairs are compared."""
NEIGHBOURS = 32
"""In a larger group: how many of the next ones each member is compared with, beside the first of the group."""


def find_clusters(
    rule: CopiedDocuments,
    sketches: Sequence[Path],
    folder: Path,
    taking_part: Sequence[np.ndarray] | None = None,
    keys_at_once: int = KEYS_AT_ONCE,
) -> list[np.ndarray]:
    """Return for each part [documents], int64: the number of the document that is kept of each one's cluster.

    Documents are numbered through all parts, in the order of the files of sketches, [documents, numbers] as `.npy`. A
    document that is kept has its own number; one that takes no part ([documents], booleans, for each part) has -1.

    Where more than `MOST_COMPARED` documents share a key not all pairs are compared, so two that are alike and share no
    other key may stay apart. Where being alike is certain (`exact`, or `minhash` without `min_similarity`) none does.
    """
    table = _Sketches(sketches)
    if taking_part is None:
        taking_part = [np.ones(size, bool) for size in table.sizes]
    members = np.flatnonzero(np.concatenate([np.empty(0, bool), *taking_part]))
    components = Components(len(members))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for column in _write_keys(rule, table, taking_part, len(members), Path(scratch)):
            for places, keys in KeyFiles([column], keys_at_once).shares():
                _join_groups(rule, table, members, components, places, keys)
            column.unlink()
    keepers = np.full(int(table.starts[-1]), -1)
    keepers[members] = members[components.all_roots()]
    return np.split(keepers, table.starts[1:-1]) if table.sizes else []


def _write_keys(
    rule: CopiedDocuments, table: _Sketches, taking_part: Sequence[np.ndarray], size: int, folder: Path
) -> list[Path]:
    """Write a file for each column of keys, of the documents that take part, and return the files."""
    columns: list[Path] = []
    for number, takes_part_D in enumerate(taking_part):
        for begin in range(0, table.sizes[number], DOCUMENTS_AT_ONCE):
            chosen = begin + np.flatnonzero(takes_part_D[begin : begin + DOCUMENTS_AT_ONCE])
            if not len(chosen):
                continue
            keys = rule.band_keys(table.of(table.starts[number] + chosen))
            if not columns:
                columns = [folder / f"{column}.npy" for column in range(keys.shape[1])]
                for path in columns:
                    with path.open("wb") as file:
                        header = {"descr": "<u8", "fortran_order": False, "shape": (size,)}
                        np.lib.format.write_array_header_1_0(file, header)
            for path, column in zip(columns, keys.T, strict=True):
                with path.open("ab") as file:
                    file.write(column.astype("<u8").tobytes())
    return columns


def _join_groups(
    rule: CopiedDocuments,
    table: _Sketches,
    members: np.ndarray,
    components: Components,
    places: np.ndarray,
    keys: np.ndarray,
) -> None:
    """Compare the documents that share a key, and join those that are alike."""
    order = np.argsort(keys, kind="stable")
    for first, second in _candidates(places[order], keys[order], components):
        # What is joined already need not be compared: joining it again changes nothing.
        apart = components.roots(first) != components.roots(second)
        first, second = first[apart], second[apart]
        for begin in range(0, len(first), PAIRS_AT_ONCE):
            one, other = first[begin : begin + PAIRS_AT_ONCE], second[begin : begin + PAIRS_AT_ONCE]
            alike = rule.alike(table.of(members[one]), table.of(members[other]))
            components.join(one[alike], other[alike])


def _candidates(
    places: np.ndarray, keys: np.ndarray, components: Components
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs that share a key: each with the next of its group, with the second next, and so on.

    Groups that are one component leave when that is seen, so a thousand equal documents cost a thousand comparisons.
    """
    begins, sizes = runs_of_equals(keys)
    sizes = sizes[shared := sizes > 1]
    begins = begins[shared]
    large = sizes > MOST_COMPARED
    for begin, size in zip(begins[large].tolist(), sizes[large].tolist(), strict=True):
        yield np.full(size - 1, places[begin]), places[begin + 1 : begin + size]
    limits = np.where(large, NEIGHBOURS, sizes - 1)
    distance = 1
    while len(begins):
        at_M = np.repeat(begins, sizes - distance) + _counted(sizes - distance)
        yield places[at_M], places[at_M + distance]
        distance += 1
        going_on = limits >= distance
        if distance & (distance - 1) == 0:
            going_on &= ~_joined(places, begins, sizes, components)
        begins, sizes, limits = begins[going_on], sizes[going_on], limits[going_on]


def _joined(places: np.ndarray, begins: np.ndarray, sizes: np.ndarray, components: Components) -> np.ndarray:
    """Return [groups], booleans: whether all members of a group are in one component."""
    roots_M = components.roots(places[np.repeat(begins, sizes) + _counted(sizes)])
    bounds = np.cumsum(sizes) - sizes
    return np.minimum.reduceat(roots_M, bounds) == np.maximum.reduceat(roots_M, bounds)


def _counted(sizes: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... up to each size, one after the other."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


class _Sketches:
    """Reads the sketches of any documents from the files of all parts, row by row.

    Not as memory maps: the machine maps whole neighbourhoods of a row that is read, in the end all files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        arrays = [np.load(path, mmap_mode="r") for path in paths]
        self.files = [(Path(path), int(array.offset)) for path, array in zip(paths, arrays, strict=True)]
        self.sizes = [len(array) for array in arrays]
        self.starts = np.concatenate(([0], np.cumsum(self.sizes))).astype(np.int64)
        first = arrays[0] if arrays else np.empty((0, 1), np.uint32)
        self.width, self.dtype = first.shape[1], first.dtype

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Return [len(numbers), numbers of a sketch]."""
        order = np.argsort(numbers, kind="stable")
        found = np.empty((len(numbers), self.width), self.dtype)
        rows = found.reshape(-1).view(np.uint8).data
        size, places = self.width * self.dtype.itemsize, iter(order.tolist())
        for part, local in by_part(self.starts, numbers[order]):
            path, offset = self.files[part]
            with path.open("rb", buffering=0) as file:
                for row in local.tolist():
                    file.seek(offset + row * size)
                    place = next(places) * size
                    file.readinto(rows[place : place + size])
        return found
