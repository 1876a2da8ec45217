"""As many documents in a row as fit, none cut that fits."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Literal

import numpy as np

from lm_modules.data.packing import Packing, Plan, full_rows, planned


class BestFit(Packing):
    """Best-fit packing (Ding et al. 2024, Fewer truncations improve language modeling, arXiv 2404.10830, section 3).

    Documents that are longer than a row are cut into full rows first. What is left goes, the longest first, where it
    leaves the least room. Ding et al. take the rows as they come out; so do we, and training shuffles them.
    """

    kind: Literal["best_fit"] = "best_fit"

    def plan(self, starts_N: np.ndarray, ends_N: np.ndarray, capacity: int) -> Plan:
        """Return the rows: the full ones, then the packed ones, the longest piece of each at its beginning."""
        full, starts_N, lengths_N = full_rows(starts_N, ends_N, capacity)
        order_N = np.argsort(-lengths_N, kind="stable")
        rows_N = best_fit_decreasing(lengths_N[order_N], capacity)
        return planned(starts_N[order_N], lengths_N[order_N], rows_N, capacity, full)


def best_fit_decreasing(lengths_N: np.ndarray, capacity: int) -> np.ndarray:
    """Return the row of each piece, for lengths that do not grow; none is longer than the capacity.

    Pieces of one length are placed together: where the least room is, `room // length` of them fit into each row, and
    rows of equal room are numbered in runs. So the work grows with the number of lengths, not of pieces.
    """
    lengths, counts = np.unique(-lengths_N, return_counts=True)
    row_of_N = np.empty(len(lengths_N), np.int64)
    runs: dict[int, list[tuple[int, int]]] = {}  # room -> runs of rows: the first, and how many
    rooms: list[int] = []  # those that some row has, sorted
    num_rows = place = 0

    def put(room: int, first: int, count: int) -> None:
        if count and room:
            if room not in runs:
                runs[room] = []
                insort(rooms, room)
            runs[room].append((first, count))

    for length, count in zip((-lengths).tolist(), counts.tolist(), strict=True):
        while count:
            at = bisect_left(rooms, length)
            if at < len(rooms):
                room = rooms[at]
                first, num = runs[room].pop()
                if not runs[room]:
                    del runs[room], rooms[at]
            else:
                room, first, num = capacity, num_rows, -(-count // (capacity // length))
                num_rows += num
            each = room // length
            whole = min(count // each, num)
            taken = whole * each
            row_of_N[place : place + taken] = np.repeat(np.arange(first, first + whole), each)
            put(room - each * length, first, whole)
            rest = min(count - taken, each) if whole < num else 0
            if rest:
                row_of_N[place + taken : place + taken + rest] = first + whole
                put(room - rest * length, first + whole, 1)
            put(room, first + whole + (rest > 0), num - whole - (rest > 0))
            place += taken + rest
            count -= taken + rest
    return row_of_N
