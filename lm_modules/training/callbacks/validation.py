"""Loss and bits per byte on held-out text."""

# B rows, L row length

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lm_modules.data.packed import PackedTokens
from lm_modules.data.rows import Rows, Stream
from lm_modules.data.selection import Selection
from lm_modules.training.reporting import Report

BATCH_TOKENS = 4096
"""Held-out tokens that pass through the model at once."""


class HeldOut:
    """The first tokens of a split, or of a stream's sources in it, as rows.

    Where rows overlap by one, each token is a label just once.
    A row begins without memory of the one before, so the figure is a little above what the model reaches with all the
    context it can have. The first row begins with the end-of-text token, as documents do in training.

    `num_bytes` is the text that its tokens stand for: counted where the tokenizer is byte-level (see `token_bytes`) or
    the whole split is read, and else `num_bytes_is_estimated`, as many bytes a token as in the whole split.
    """

    def __init__(
        self, packed: PackedTokens, token_bytes: np.ndarray | None, stream: Stream, limit: int | None, number: int = 0
    ):
        text = Selection(packed, stream.sources)
        num_tokens = min(text.num_tokens, limit or text.num_tokens)
        if num_tokens == 0:
            raise ValueError(
                "the validation split is empty; raise data_preparation.split.validation_fraction or add documents"
            )
        # A short split is one short row; of a longer one the tail that fills no row is left out.
        self.length, self.overlap = min(stream.row_length - stream.overlap, num_tokens), stream.overlap
        self.num_tokens, self.number = num_tokens - num_tokens % self.length, number
        beginning = np.zeros(1, np.int64)
        ids = text.tokens(beginning, self.num_tokens)[0]
        self._tokens = np.concatenate([np.full(self.overlap, packed.end_of_text_id, np.int64), ids])
        self._documents = None
        if stream.by_document:
            documents = text.documents(beginning, self.num_tokens)[0]
            self._documents = np.concatenate([np.full(self.overlap, documents[0]), documents])
        whole = packed.num_bytes * self.num_tokens / packed.num_tokens
        self.num_bytes = float(whole if token_bytes is None else token_bytes[ids].sum())
        self.num_bytes_is_estimated = token_bytes is None and self.num_tokens < packed.num_tokens

    def batches(self, rows: int) -> Iterator[Rows]:
        """Yield up to so many rows of length + overlap tokens."""
        starts = np.arange(0, self.num_tokens, self.length)
        num_batches = -(-len(starts) // rows)
        for number in range(num_batches):
            far_apart = self._documents is not None
            some = starts[number::num_batches] if far_apart else starts[number * rows : (number + 1) * rows]
            places = some[:, None] + np.arange(self.length + self.overlap)
            documents = None if self._documents is None else torch.from_numpy(self._documents[places])
            yield Rows.of(torch.from_numpy(self._tokens[places]), documents, self.number)


class Validation(Callback):
    """Measures every so many steps and after the last; the newest figures, of step `measured_at`, are in `figures`.

    With `at_start` it also measures what the training begins with: `before`.
    """

    def __init__(
        self, held_out: Sequence[HeldOut], report: Report, every_steps: int | None, *, at_start: bool = False
    ) -> None:
        self._held_out, self._report, self._every_steps, self._at_start = held_out, report, every_steps, at_start
        self.figures: dict[str, float] = {}
        self.measured_at: int | None = None
        self.before: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure before the first step, if that is wanted."""
        if self._at_start and pl_module.step == 0:
            self._measure(trainer, pl_module)
            self.before = self.figures

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure if it is time."""
        module: Any = pl_module
        if is_due(module, self._every_steps):
            self._measure(trainer, module)

    def _measure(self, trainer: Trainer, module: Any) -> None:
        module.clock.pause()
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            self.figures, self.measured_at = self._losses(module), module.step
        module.clock.start()
        if self._report(module.step, {f"validation/{name}": value for name, value in self.figures.items()}):
            trainer.should_stop = True

    def _losses(self, module: Any) -> dict[str, float]:
        """Return the loss and its parts, means over all rows, and bits per byte where all tokens are scored.

        Those are told as `bits_per_byte_estimate` where the bytes of the text are estimated.
        """
        objective, weights = module.objective, module.objective.weights()
        totals: defaultdict[str, float] = defaultdict(float)
        counts: Counter[str] = Counter()
        for number, rows in enumerate(chain.from_iterable(map(_some_at_once, self._held_out))):
            batch = module.corruption(rows, "validation", number)
            batch = {name: tensor.to(module.device) for name, tensor in batch.items()}
            scored = objective.num_scored(batch)
            for name, loss in objective.losses(module.network, batch).items():
                totals[name] += float(loss) * int(scored[name])
                counts[name] += int(scored[name])
        means = {name: totals[name] / max(counts[name], 1) for name in weights}
        figures = {**means, "loss": sum(weights[name] * means[name] for name in weights)}
        if objective.scores_every_token:  # then a stream is one part, and the parts are in the order of the streams
            pairs = zip(means.values(), self._held_out, strict=True)
            bits = sum(mean / math.log(2) * each.num_tokens for mean, each in pairs)
            estimated = any(each.num_bytes_is_estimated for each in self._held_out)
            figures["bits_per_byte_estimate" if estimated else "bits_per_byte"] = bits / max(
                sum(each.num_bytes for each in self._held_out), 1
            )
        return figures


def _some_at_once(held_out: HeldOut) -> Iterator[Rows]:
    return held_out.batches(max(2, BATCH_TOKENS // held_out.length))


def is_due(module: Any, every_steps: int | None) -> bool:
    """Whether held-out text is looked at after this step: every so many, and after the last."""
    return module.step == module.steps or (every_steps is not None and module.step % every_steps == 0)


def token_bytes(tokenizer: Path) -> np.ndarray | None:
    """Return how many bytes of text each token of a byte-level tokenizer stands for; None for another kind.

    A special token stands for none. None also where the text is changed before it is cut (normalized, a space put in
    front), because then tokens do not stand for its bytes.
    """
    content = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    added: list[dict[str, Any]] = content["added_tokens"]
    ordinary = [each for each in added if not each["special"]]
    changed = content.get("normalizer") or any(each.get("add_prefix_space") for each in _steps(content))
    if (
        (content.get("decoder") or {}).get("type") != "ByteLevel"
        or changed
        or any(each["lstrip"] or each["rstrip"] for each in ordinary)
    ):
        return None
    vocabulary: dict[str, int] = content["model"]["vocab"]
    lengths = np.zeros(1 + max([*vocabulary.values(), *(each["id"] for each in added)]), np.int64)
    for text, number in vocabulary.items():
        lengths[number] = len(text)
    for each in added:
        lengths[each["id"]] = 0 if each["special"] else len(each["content"].encode())
    return lengths


def _steps(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps that cut a text before it becomes tokens."""
    first = content.get("pre_tokenizer") or {}
    return first.get("pretokenizers", [first])
