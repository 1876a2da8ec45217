"""Loss and bits per byte on held-out text."""

# B rows, L row length

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lm_modules.data.packed import PackedTokens
from lm_modules.training.reporting import Report

BATCH_TOKENS = 4096
"""Held-out tokens that pass through the model at once."""


class HeldOut:
    """The first tokens of a split as rows; where rows overlap by one, each token is a label just once.

    A row begins without memory of the one before, so the figure is a little above what the model reaches with all the
    context it can have. The first row begins with the end-of-text token, as documents do in training.
    """

    def __init__(
        self, tokens: PackedTokens, token_bytes: np.ndarray | None, row_length: int, overlap: int, limit: int | None
    ):
        num_tokens = min(tokens.num_tokens, limit or tokens.num_tokens)
        if num_tokens == 0:
            raise ValueError(
                "the validation split is empty; raise data_preparation.split.validation_fraction or add documents"
            )
        # A short split is one short row; of a longer one the tail that fills no row is left out.
        self.length, self.overlap = min(row_length - overlap, num_tokens), overlap
        self.num_tokens = num_tokens - num_tokens % self.length
        ids = np.asarray(tokens.tokens[: self.num_tokens], np.int64)
        self._stream = np.concatenate([np.full(overlap, tokens.end_of_text_id, np.int64), ids])
        whole = tokens.num_bytes * self.num_tokens / tokens.num_tokens
        self.num_bytes = float(whole if token_bytes is None else token_bytes[ids].sum())

    def batches(self, rows: int) -> Iterator[Tensor]:
        """Yield [up to `rows`, length + overlap] tokens."""
        starts = range(0, self.num_tokens, self.length)
        for first in range(0, len(starts), rows):
            some = starts[first : first + rows]
            chosen = [self._stream[start : start + self.length + self.overlap] for start in some]
            yield torch.from_numpy(np.stack(chosen))


class Validation(Callback):
    """Measures every so many steps and after the last; the newest figures, of step `measured_at`, are in `figures`."""

    def __init__(self, held_out: HeldOut, report: Report, every_steps: int | None) -> None:
        self._held_out, self._report, self._every_steps = held_out, report, every_steps
        self.figures: dict[str, float] = {}
        self.measured_at: int | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure if it is time."""
        module: Any = pl_module
        due = self._every_steps is not None and module.step % self._every_steps == 0
        if not due and module.step < module.steps:
            return
        module.clock.pause()
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            self.figures, self.measured_at = self._losses(module), module.step
        module.clock.start()
        if module.objective.scores_every_token:
            bits = self.figures["loss"] / math.log(2) * self._held_out.num_tokens
            self.figures["bits_per_byte"] = bits / max(self._held_out.num_bytes, 1)
        if self._report(module.step, {f"validation/{name}": value for name, value in self.figures.items()}):
            trainer.should_stop = True

    def _losses(self, module: Any) -> dict[str, float]:
        """Return the loss and its parts, means over all rows."""
        objective, weights = module.objective, module.objective.weights()
        totals: defaultdict[str, float] = defaultdict(float)
        counts: Counter[str] = Counter()
        for number, tokens_BL in enumerate(self._held_out.batches(max(2, BATCH_TOKENS // self._held_out.length))):
            batch = module.corruption(tokens_BL, "validation", number)
            batch = {name: tensor.to(module.device) for name, tensor in batch.items()}
            scored = objective.num_scored(batch)
            for name, loss in objective.losses(module.network, batch).items():
                totals[name] += float(loss) * int(scored[name])
                counts[name] += int(scored[name])
        means = {name: totals[name] / max(counts[name], 1) for name in weights}
        return {**means, "loss": sum(weights[name] * means[name] for name in weights)}


def token_bytes(tokenizer: Path) -> np.ndarray | None:
    """Return how many bytes of text each token of a byte-level tokenizer stands for; None for another kind.

    A special token stands for none.
    """
    content = json.loads((tokenizer / "tokenizer.json").read_text())
    if (content.get("decoder") or {}).get("type") != "ByteLevel":
        return None
    vocabulary: dict[str, int] = content["model"]["vocab"]
    special = {each["id"] for each in content["added_tokens"] if each["special"]}
    largest = max([*vocabulary.values(), *special])
    lengths = np.zeros(largest + 1, np.int64)
    for text, number in vocabulary.items():
        lengths[number] = 0 if number in special else len(text)
    return lengths
