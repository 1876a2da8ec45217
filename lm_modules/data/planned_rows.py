"""The rows of a packing that plans them, as training reads them: whole documents side by side, the rest padded.

    packed    | . a a a a $ | . b b $ c $ |      $ the end-of-text token, . what a row has in common with another
    lengths         6             6

Before a document stands the end-of-text token, as it does in one stream; before the rest of one that was cut, the token
that it goes on from. So with an overlap of one every token of the text is a label once an epoch. What fills a row up is
end-of-text tokens too, which no objective scores (`Rows.text_lengths` tells where they begin).
"""

# B rows, L row length

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from configs.component import members
from lm_modules.data.packed import PackedTokens
from lm_modules.data.packing import Packing
from lm_modules.data.row_plan import Plan
from lm_modules.data.rows import Stream
from lm_modules.data.selection import chosen_documents


def packing_of(packed: PackedTokens) -> Packing:
    """Return how these tokens are to be packed."""
    kinds: dict[str, Any] = members("lm_modules.data.packing")
    return kinds[packed.packing["kind"]].model_validate(packed.packing)


def plan_rows(packed: PackedTokens, stream: Stream) -> Plan | None:
    """Return the rows of a stream; None where it is cut from one text.

    Documents that are repeated have rows of their own in every round, so that no row holds one twice.
    """
    packing, found = packing_of(packed), None
    starts, ends = packed.document_starts[:-1], packed.document_starts[1:]
    wanted = None if stream.sources is None else chosen_documents(packed, stream.sources)
    for first, last in _rounds(packed):
        here = slice(first, last)
        some = slice(None) if wanted is None else wanted[here]
        plan = packing.plan(
            np.asarray(starts[here])[some], np.asarray(ends[here])[some], stream.row_length - stream.overlap
        )
        if plan is None:
            return None
        found = plan if found is None else found.and_then(plan)
    return found


def _rounds(packed: PackedTokens) -> list[tuple[int, int]]:
    ends = [*packed.rounds] or [packed.num_documents]
    return list(zip([0, *ends[:-1]], ends, strict=True))


class PlannedText:
    """The tokens of planned rows."""

    def __init__(self, packed: PackedTokens, plan: Plan, overlap: int) -> None:
        self.packed, self.plan, self.overlap = packed, plan, overlap

    def rows(self, numbers_B: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return tokens and documents of these rows, [rows, length] int64, and how many of each are text, [rows].

        The document of padding is -1.
        """
        tokens_BL = np.full((len(numbers_B), length), self.packed.end_of_text_id, np.int64)
        documents_BL = np.full((len(numbers_B), length), -1, np.int64)
        lengths_B = np.zeros(len(numbers_B), np.int64)
        for place, row in enumerate(numbers_B.tolist()):
            first, last = self.plan.rows[row : row + 2]
            starts, lengths = self.plan.starts[first:last], self.plan.lengths[first:last]
            documents = np.searchsorted(self.packed.document_starts, starts, side="right") - 1
            tokens_BL[place, : self.overlap] = self._before(int(starts[0]), int(documents[0]))
            documents_BL[place, : self.overlap] = documents[0]
            at = self.overlap
            for start, size, document in zip(starts.tolist(), lengths.tolist(), documents.tolist(), strict=True):
                tokens_BL[place, at : at + size] = self.packed.tokens[start : start + size]
                documents_BL[place, at : at + size] = document
                at += size
            lengths_B[place] = at
        return tokens_BL, documents_BL, lengths_B

    def _before(self, start: int, document: int) -> Sequence[int] | np.ndarray | int:
        begin = int(self.packed.document_starts[document])
        if start - self.overlap < begin:
            return self.packed.end_of_text_id
        return self.packed.tokens[start - self.overlap : start]


def row_figures(packed: PackedTokens, stream: Stream) -> dict[str, float]:
    """Return how the rows of a stream are filled: the part of their places that is text, documents cut, rows."""
    plan = plan_rows(packed, stream)
    if plan is not None:
        return plan.figures()
    stride = stream.row_length - stream.overlap
    starts = packed.document_starts
    if stream.sources is not None:
        chosen = chosen_documents(packed, stream.sources)
        starts = np.concatenate([[0], np.cumsum(np.diff(starts)[chosen])])
    # a document is whole if no row ends within it
    cut = (starts[:-1] // stride) != ((starts[1:] - 1) // stride)
    return {"row_utilization": 1.0, "documents_cut": int(cut.sum()), "rows": int(starts[-1]) // stride}
