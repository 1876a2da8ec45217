"""The batch of every step, as a pure function of (fingerprint of the tokens, seed, step).

    epoch 0    rows in a shuffled order, cut at an offset of this epoch
    epoch 1    another order, another offset
               | step 0 | step 1 | step 2 ...      a step may reach over the end of an epoch

Nothing is remembered from step to step: any step can be asked for first, by any number of workers, and a resumed run
sees what an undisturbed one would have seen.
"""

# B rows, L row length

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from configs.batch_sizes import BatchSizes
from lm_modules.data.bits import mixed
from lm_modules.data.packed import PackedTokens
from lm_modules.data.planned_rows import PlannedText, plan_rows, row_figures
from lm_modules.data.row_plan import Plan
from lm_modules.data.rows import Rows, Stream, pattern, whole_shares
from lm_modules.data.selection import Selection

ROWS_AHEAD = 4096
"""How many rows' places are found at once: one by one, they took more time than reading them."""


class Batches(Dataset):
    """`batches[step]` is the text of that step; several streams share its rows by a fixed pattern (see rows.py)."""

    def __init__(self, packed: PackedTokens, *, streams: Sequence[Stream], sizes: BatchSizes, seed: int) -> None:
        self.packed, self.sizes = packed, sizes
        self.streams = [_rows_of(packed, stream, seed) for stream in streams]
        self._shares = np.array(whole_shares([stream.weight for stream in streams]))
        self._pattern = np.array(pattern(tuple(self._shares.tolist())))

    def __getitem__(self, step: int) -> Rows:
        """Return the rows of this step."""
        numbers = np.arange(self.sizes.first_row(step), self.sizes.first_row(step + 1), dtype=np.int64)
        if len(self.streams) == 1:
            [stream] = self.streams
            tokens, documents, text_lengths = stream.rows(numbers)
            return Rows.of(tokens, documents, text_lengths=text_lengths)
        turns, places = np.divmod(numbers, len(self._pattern))
        streams_B = self._pattern[places]
        length = max(each.row_length for each in self.streams)
        tokens_BL, documents_BL = (torch.zeros((len(numbers), length), dtype=torch.long) for _ in range(2))
        lengths_B, text_lengths_B = (torch.zeros(len(numbers), dtype=torch.long) for _ in range(2))
        for number, stream in enumerate(self.streams):
            chosen = streams_B == number
            earlier = np.cumsum(self._pattern == number)[places[chosen]] - 1
            own, own_documents, own_lengths = stream.rows(turns[chosen] * self._shares[number] + earlier)
            tokens_BL[chosen, : stream.row_length], lengths_B[chosen] = own, stream.row_length
            if own_lengths is not None:
                text_lengths_B[chosen] = own_lengths
            if own_documents is not None:
                documents_BL[chosen, : stream.row_length] = own_documents
        asked = any(each.by_document for each in self.streams)
        padded = text_lengths_B if any(isinstance(each, _PlannedRows) for each in self.streams) else None
        return Rows(tokens_BL, lengths_B, torch.from_numpy(streams_B), documents_BL if asked else None, padded)

    def figures(self) -> dict[str, float]:
        """Return how rows are filled: by the name of the stream where there are several."""
        found: dict[str, float] = {}
        for each in self.streams:
            prefix = f"{each.stream.name}/" if each.stream.name else ""
            found |= {f"{prefix}{name}": value for name, value in each.figures().items()}
        return found


class _StreamRows:
    """The rows of one stream, numbered over the whole run; neighbours share `overlap` tokens (a label is then read)."""

    def __init__(self, packed: PackedTokens, stream: Stream, seed: int) -> None:
        self.stream = stream
        self.packed, self.text, self.by_document = packed, Selection(packed, stream.sources), stream.by_document
        self.row_length, self.stride = stream.row_length, stream.row_length - stream.overlap
        # An epoch begins at an offset below the stride, so one row less fits than without.
        self.num_rows = (self.text.num_tokens - stream.overlap - (self.stride - 1)) // self.stride
        if self.num_rows < 1:
            raise ValueError(
                f"the training split has {self.text.num_tokens} tokens{f' for {stream.name}' * bool(stream.name)}, "
                f"too few for rows of {stream.row_length}; add text or shorten model.context_length"
            )
        self._order = _Order(self.num_rows, _key(packed, stream, seed), self.stride)

    def rows(self, numbers: np.ndarray) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Return tokens, and numbers of documents if they are asked for, [rows, length] each; None: all is text."""
        starts_B = self._order(numbers)
        tokens_BL = torch.from_numpy(self.text.tokens(starts_B, self.row_length))
        if not self.by_document:
            return tokens_BL, None, None
        return tokens_BL, torch.from_numpy(self.text.documents(starts_B, self.row_length)), None

    def figures(self) -> dict[str, float]:
        """Return how the rows are filled."""
        return row_figures(self.packed, self.stream)


class _PlannedRows:
    """The rows of one stream that a packing has planned, in another order every epoch."""

    def __init__(self, packed: PackedTokens, stream: Stream, seed: int, plan: Plan) -> None:
        self.stream, self.row_length, self.by_document = stream, stream.row_length, stream.by_document
        self.text, self.num_rows = PlannedText(packed, plan, stream.overlap), plan.num_rows
        if self.num_rows < 1:
            raise ValueError(
                f"the training split has no text{f' for {stream.name}' * bool(stream.name)}; add documents"
            )
        self._order = _Order(self.num_rows, _key(packed, stream, seed))

    def rows(self, numbers: np.ndarray) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Return tokens, numbers of documents if they are asked for, and how many tokens of each row are text."""
        rows = self.text.rows(self._order(numbers), self.row_length)
        tokens_BL, documents_BL, lengths_B = map(torch.from_numpy, rows)
        return tokens_BL, documents_BL if self.by_document else None, lengths_B

    def figures(self) -> dict[str, float]:
        """Return how the rows are filled."""
        return self.text.plan.figures()


def _rows_of(packed: PackedTokens, stream: Stream, seed: int) -> _StreamRows | _PlannedRows:
    plan = plan_rows(packed, stream)
    return _StreamRows(packed, stream, seed) if plan is None else _PlannedRows(packed, stream, seed, plan)


def _key(packed: PackedTokens, stream: Stream, seed: int) -> tuple[object, ...]:
    """Return what the order of a stream's rows follows from, beside the epoch."""
    return packed.fingerprint, seed, "epoch", *([stream.name] if stream.name else [])


class _Order:
    """Where the rows of a run begin: a new shuffle every epoch, and another offset below the stride.

    Steps follow each other, so the rows behind those that are asked for are found with them.
    """

    def __init__(self, num_rows: int, key: tuple[object, ...], stride: int = 1) -> None:
        self._num_rows, self._key, self._stride = num_rows, key, stride
        self._first, self._starts = 0, np.empty(0, np.int64)

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Return the start of each of these rows, which are in ascending order."""
        if not len(numbers):
            return numbers
        first, last = int(numbers[0]), int(numbers[-1])
        if first < self._first or last >= self._first + len(self._starts):
            self._first, self._starts = first, self._of(np.arange(first, last + 1 + ROWS_AHEAD))
        return self._starts[numbers - self._first]

    def _of(self, numbers: np.ndarray) -> np.ndarray:
        epochs, positions = np.divmod(numbers, self._num_rows)
        starts = np.empty_like(numbers)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            key = derived_seed(*self._key, int(epoch))
            row = shuffled(positions[chosen], self._num_rows, key)
            starts[chosen] = row * self._stride + key % self._stride
        return starts


def derived_seed(*parts: object) -> int:
    """Return a 63-bit number that depends on every part and on nothing else."""
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def shuffled(positions: np.ndarray, size: int, key: int) -> np.ndarray:
    """Return where a shuffle of `range(size)` chosen by `key` puts each position, without building the shuffle.

    A four-round Feistel network permutes the next power of four; what lands outside `range(size)` is sent through
    again until it falls inside (cycle walking; Black & Rogaway 2002, section 3).
    """
    half_bits = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    round_keys = [np.uint64(derived_seed("feistel", key, each)) for each in range(4)]
    result = np.asarray(positions, np.uint64)
    outside = np.ones(result.shape, bool)
    while outside.any():
        result[outside] = _feistel(result[outside], half_bits, round_keys)
        outside = result >= np.uint64(size)
    return result.astype(np.int64)


def _feistel(values: np.ndarray, half_bits: int, round_keys: list[np.uint64]) -> np.ndarray:
    shift, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = values >> shift, values & mask
    for round_key in round_keys:
        left, right = right, left ^ (mixed(right ^ round_key) & mask)
    return (left << shift) | right


def open_batches(directory: Path, *, streams: Sequence[Stream], sizes: BatchSizes, seed: int) -> Batches:
    """Open the training split of a tokens directory as batches."""
    return Batches(PackedTokens.open(directory, "train"), streams=streams, sizes=sizes, seed=seed)
