"""The batch of every step, as a pure function of (fingerprint of the tokens, seed, step).

    epoch 0    rows in a shuffled order, cut at an offset of this epoch
    epoch 1    another order, another offset
               | step 0 | step 1 | step 2 ...      a step may reach over the end of an epoch

Nothing is remembered from step to step: any step can be asked for first, by any number of workers, and a resumed run
sees what an undisturbed one would have seen.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lm_modules.data.packed import PackedTokens


class Batches(Dataset):
    """`batches[step]` is the text of that step: [batch_rows, row_length], int64.

    Neighbouring rows share `overlap` tokens (the last label of one is the first input of the next).
    """

    def __init__(self, tokens: PackedTokens, *, row_length: int, overlap: int, batch_rows: int, seed: int) -> None:
        self.stride = row_length - overlap
        # An epoch begins at an offset below the stride, so one row less fits than without.
        self.num_rows = (tokens.num_tokens - overlap - (self.stride - 1)) // self.stride
        if self.num_rows < 1:
            raise ValueError(
                f"the training split has {tokens.num_tokens} tokens, too few for rows of {row_length}; "
                "add text or shorten model.context_length"
            )
        self.tokens, self.row_length = tokens, row_length
        self.batch_rows, self.seed = batch_rows, seed

    def __getitem__(self, step: int) -> Tensor:
        """Return the rows of this step."""
        numbers = np.arange(step * self.batch_rows, (step + 1) * self.batch_rows, dtype=np.int64)
        rows = [self._row(int(number)) for number in self._starts(numbers)]
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def _starts(self, numbers: np.ndarray) -> np.ndarray:
        epochs, positions = np.divmod(numbers, self.num_rows)
        starts = np.empty_like(numbers)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            key = derived_seed(self.tokens.fingerprint, self.seed, "epoch", int(epoch))
            row = shuffled(positions[chosen], self.num_rows, key)
            starts[chosen] = row * self.stride + key % self.stride
        return starts

    def _row(self, start: int) -> np.ndarray:
        return self.tokens.tokens[start : start + self.row_length]


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
        left, right = right, left ^ (_mixed(right ^ round_key) & mask)
    return (left << shift) | right


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return well-mixed bits: the finalizer of SplitMix64 (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def open_batches(directory: Path, *, row_length: int, overlap: int, batch_rows: int, seed: int) -> Batches:
    """Open the training split of a tokens directory as batches."""
    tokens = PackedTokens.open(directory, "train")
    return Batches(tokens, row_length=row_length, overlap=overlap, batch_rows=batch_rows, seed=seed)
