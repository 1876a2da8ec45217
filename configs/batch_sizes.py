"""How many rows each step of a run has: always the same number, or fewer at first.

    rows   8  9 11 12 14 | 16 16 16 ...        from 8 to 16 in 5 steps

A small batch learns more from a token while the loss still falls fast (McCandlish et al. 2018, arXiv 1812.06162).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate


@dataclass(frozen=True)
class BatchSizes:
    """The batch of a step as a function of its number alone."""

    rows: int
    """Rows of a step after the ramp."""
    row_tokens: int
    """Tokens that a row counts for."""
    first_rows: int
    """Rows of the first step."""
    ramp_steps: int = 0
    """Steps in which the batch grows, in a straight line and whole rows."""

    def num_rows(self, step: int) -> int:
        """Return how many rows this step has; steps count from 0."""
        if step >= self.ramp_steps:
            return self.rows
        return self.first_rows + (self.rows - self.first_rows) * step // self.ramp_steps

    def first_row(self, step: int) -> int:
        """Return how many rows the steps before this one have together."""
        ramp = min(step, self.ramp_steps)
        return self._sums[ramp] + (step - ramp) * self.rows

    def tokens(self, step: int) -> int:
        """Return the tokens of one step."""
        return self.num_rows(step) * self.row_tokens

    def steps_for(self, tokens: float) -> int:
        """Return how many steps it takes to read at least so many tokens."""
        rows = -(-tokens // self.row_tokens)
        if rows <= self._sums[-1]:
            return bisect_left(self._sums, rows)
        return self.ramp_steps + int(-(-(rows - self._sums[-1]) // self.rows))

    @cached_property
    def _sums(self) -> list[int]:
        """Rows before each step of the ramp, and before the first behind it."""
        return list(accumulate(map(self.num_rows, range(self.ramp_steps)), initial=0))
