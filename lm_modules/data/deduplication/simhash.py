"""Near-duplicates by 64 bits on which all runs of words have voted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.deduplication import CopiedDocuments

if TYPE_CHECKING:
    import numpy as np


class Simhash(CopiedDocuments):
    """SimHash (Charikar 2002; Manku et al. 2007) as ROOTS had it (Laurençon et al. 2022, arXiv 2303.03915, section 3).

    Case and punctuation do not count. ROOTS took windows of 6 characters outside English; here a window is of words in
    every language, and only where no spaces stand between words of characters. ROOTS split at single spaces, which made
    all indented code alike; here white space of any length is one.

    It finds the very close copies: half of those that share 0.9 of their runs of words, few of those that share less.
    """

    kind: Literal["simhash"] = "simhash"
    window_words: int = Field(default=6, ge=1)
    """Words of a run."""
    max_distance: int = Field(default=4, ge=0, le=8)
    """Most bits in which copies differ."""

    def sketch(self, text: str) -> np.ndarray:
        """Return [1], uint64: the bits."""
        from lm_modules.data.sketches import votes

        return votes(text, self.window_words)

    def band_keys(self, sketches: np.ndarray) -> np.ndarray:
        """Return [documents, keys]: the bits are cut into `max_distance + 2` blocks, and a key is two of them.

        Bits that differ lie in at most `max_distance` blocks, so two blocks are equal: no pair is missed.
        """
        from lm_modules.data.sketches import pairs_of_blocks

        return pairs_of_blocks(sketches[:, 0], self.max_distance + 2)

    def alike(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return where few enough bits differ."""
        import numpy as np

        return np.bitwise_count(first[:, 0] ^ second[:, 0]) <= self.max_distance
