"""The documents of some sources, read as one text: what is between them is left out.

tokens     | web | code | code | web |          sources: [web]
selection  | web | web |                        position 0 is the first token of the first web document
"""

# B rows, L row length

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np

from configs.base import nearest
from lm_modules.data.packed import PackedTokens


class Selection:
    """A split as one text, or what some of its sources gave to it; nothing is copied."""

    def __init__(self, packed: PackedTokens, sources: tuple[str, ...] | None = None) -> None:
        self._sources = sources
        self.packed, self._tokens = packed, np.asarray(packed.tokens)  # slices of a memory map are slow to make
        starts, ends = packed.document_starts[:-1], packed.document_starts[1:]
        if sources is not None:
            chosen = chosen_documents(packed, sources)
            starts, ends = starts[chosen], ends[chosen]
        begins = np.ones(len(starts), bool)  # documents without a gap between them are one piece
        begins[1:] = starts[1:] != ends[:-1]
        self._starts = starts[begins]
        lengths = ends[np.roll(begins, -1)] - self._starts
        self._offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])

    def __reduce__(self) -> Any:
        """Travel to another process as the tokens do: as a path."""
        return Selection, (self.packed, self._sources)

    @property
    def num_tokens(self) -> int:
        """Tokens in the selection."""
        return int(self._offsets[-1])

    def tokens(self, starts_B: np.ndarray, length: int) -> np.ndarray:
        """Return the rows that begin at these positions: [rows, length], int64."""
        if len(starts_B) == 0:
            return np.empty((0, length), np.int64)
        pieces_B = np.searchsorted(self._offsets, starts_B, side="right") - 1
        if (starts_B + length > self._offsets[pieces_B + 1]).any():
            return np.stack([self._row(start, length) for start in starts_B.tolist()]).astype(np.int64)
        places_B = starts_B - self._offsets[pieces_B] + self._starts[pieces_B]
        return np.stack([self._tokens[place : place + length] for place in places_B.tolist()]).astype(np.int64)

    def documents(self, starts_B: np.ndarray, length: int) -> np.ndarray:
        """Return the number of the document, counted over the split, of each token of these rows."""
        positions_BL = starts_B[:, None] + np.arange(length)
        piece_BL = np.searchsorted(self._offsets, positions_BL, side="right") - 1
        places_BL = self._starts[piece_BL] + positions_BL - self._offsets[piece_BL]
        return np.searchsorted(self.packed.document_starts, places_BL, side="right") - 1

    def _row(self, start: int, length: int) -> np.ndarray:
        """Return a row, put together where it reaches over the end of a piece."""
        piece, found = bisect_right(self._offsets, start) - 1, []
        while length > 0:
            place = int(self._starts[piece]) + start - int(self._offsets[piece])
            count = min(length, int(self._offsets[piece + 1]) - start)
            found.append(self._tokens[place : place + count])
            piece, start, length = piece + 1, start + count, length - count
        return found[0] if len(found) == 1 else np.concatenate(found)


def chosen_documents(packed: PackedTokens, sources: tuple[str, ...]) -> np.ndarray:
    """Return which documents are of these sources, booleans [num_documents]."""
    if packed.document_sources is None:
        raise ValueError(
            f"these tokens do not tell the sources of their documents, and {', '.join(sources)} are asked for; "
            "pack the corpus again"
        )
    wanted = []
    for source in sources:
        places = [
            place for place, name in enumerate(packed.source_names) if name == source or name.startswith(f"{source}/")
        ]
        if not places:
            known = nearest(source, packed.source_names)
            raise ValueError(
                f"no document of the {packed.split} split is of the source {source!r}{known}"
                if packed.split == "train"
                else f"no document of the {packed.split} split is of the source {source!r}; raise "
                f"data_preparation.split.{packed.split}_fraction, or add documents of that source"
            )
        wanted += places
    return np.isin(packed.document_sources, wanted)
