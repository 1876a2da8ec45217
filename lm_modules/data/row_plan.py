"""A plan of rows: which pieces of the text stand in which row; and what the packings make it of."""

# N pieces of documents, R rows, F full rows

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plan:
    """Which pieces of the text stand in which row, one behind the other."""

    starts: np.ndarray
    """[pieces], int64: where each begins in the text, in the order of the rows."""
    lengths: np.ndarray
    """[pieces], int64: the tokens of each."""
    rows: np.ndarray
    """[rows + 1], int64: the first piece of each row, and at the end the number of pieces."""
    capacity: int
    """Tokens that a row holds."""
    num_cut: int
    """Documents that are longer than a row, and cut."""

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.rows) - 1

    @property
    def utilization(self) -> float:
        """The part of all places that holds text."""
        return float(self.lengths.sum()) / max(self.num_rows * self.capacity, 1)

    def figures(self) -> dict[str, float]:
        """Return how the rows are filled, for people to read."""
        return {"row_utilization": self.utilization, "documents_cut": self.num_cut, "rows": self.num_rows}

    def and_then(self, other: Plan) -> Plan:
        """Return the rows of both."""
        return Plan(
            np.concatenate([self.starts, other.starts]),
            np.concatenate([self.lengths, other.lengths]),
            np.concatenate([self.rows[:-1], other.rows + len(self.starts)]),
            self.capacity,
            self.num_cut + other.num_cut,
        )


def planned(
    starts_N: np.ndarray, lengths_N: np.ndarray, row_of_N: np.ndarray, capacity: int, full: Plan | None
) -> Plan:
    """Return the plan in which each piece stands in its row, behind the `full` rows that documents were cut into.

    In a row pieces stand in the order given.
    """
    order_N = np.argsort(row_of_N, kind="stable")
    num_rows = int(row_of_N.max()) + 1 if len(row_of_N) else 0
    rows_R = np.zeros(num_rows + 1, np.int64)
    np.cumsum(np.bincount(row_of_N, minlength=num_rows), out=rows_R[1:])
    rest = Plan(starts_N[order_N], lengths_N[order_N], rows_R, capacity, 0)
    return rest if full is None else full.and_then(rest)


def full_rows(starts_N: np.ndarray, ends_N: np.ndarray, capacity: int) -> tuple[Plan, np.ndarray, np.ndarray]:
    """Cut documents that are longer than a row into full ones.

    Return those rows, and begin and length of what is left of each document: all of one that fits.
    """
    lengths_N = ends_N - starts_N
    full_N = np.where(lengths_N > capacity, lengths_N // capacity, 0)
    total = int(full_N.sum())
    within_F = np.arange(total) - np.repeat(np.cumsum(full_N) - full_N, full_N)
    starts_F = np.repeat(starts_N, full_N) + within_F * capacity
    cut = Plan(starts_F, np.full(total, capacity), np.arange(total + 1), capacity, int((full_N > 0).sum()))
    left_N = lengths_N - full_N * capacity
    return cut, (ends_N - left_N)[left_N > 0], left_N[left_N > 0]


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
