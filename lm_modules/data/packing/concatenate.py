"""Documents one after the other, cut every `context_length` tokens, as GPT-2 and nanoGPT do.

    stream  a a a a . b b . c c c c .          (. is the end-of-text token)
    row 0   a a a a .
    row 1           . b b . c                  (context_length 4: a row begins with the last target of the one before)
    row 2                   c c c c .

No padding; a document may begin in the middle of a row and end in another. At most `context_length` tokens at the very
end of the stream are the input of no row: they are counted as cropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lm_modules.data.packing import Packing

if TYPE_CHECKING:
    import numpy as np

    from lm_modules.data.packed import PackedTokens


class Concatenate(Packing):
    """Rows cut from the stream of all documents (Brown et al. 2020, arXiv 2005.14165, section 2.3)."""

    kind: Literal["concatenate"] = "concatenate"

    def num_rows(self, packed: PackedTokens, context_length: int) -> int:
        """Return the number of whole rows."""
        return max(packed.num_tokens - 1, 0) // context_length

    def row_starts(self, packed: PackedTokens, context_length: int) -> np.ndarray:
        """Return 0, context_length, 2 * context_length, ..."""
        import numpy as np

        return np.arange(self.num_rows(packed, context_length), dtype=np.int64) * context_length

    def num_cropped(self, packed: PackedTokens, context_length: int) -> int:
        """Return how many tokens at the end of the stream are the input of no row."""
        return packed.num_tokens - self.num_rows(packed, context_length) * context_length
