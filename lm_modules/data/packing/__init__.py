"""How tokens are laid in rows of the context length: one way a file."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from configs.component import Component

if TYPE_CHECKING:
    import numpy as np

    from lm_modules.data.packed import PackedTokens


class Packing(Component):
    """Chooses the rows. A row has `context_length + 1` tokens: its inputs, and one more as the last target."""

    @abstractmethod
    def row_starts(self, packed: PackedTokens, context_length: int) -> np.ndarray:
        """Return [num_rows], int64: row i is `packed.tokens[start : start + context_length + 1]`."""

    @abstractmethod
    def num_rows(self, packed: PackedTokens, context_length: int) -> int:
        """Return the number of rows."""

    @abstractmethod
    def num_cropped(self, packed: PackedTokens, context_length: int) -> int:
        """Return how many tokens are the input of no row."""
