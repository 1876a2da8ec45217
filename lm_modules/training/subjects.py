"""What a fine-tuning learns: a head, the network that answers for it, and its examples; one or several at once."""

from __future__ import annotations

import hashlib
import logging
import math
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from configs.finetuning import FinetuningConfig
from lm_modules.data.labelled_examples import read_examples, read_labels
from lm_modules.data.length_grouping import POOL_BATCHES, LengthGroupedBatches
from lm_modules.heads import PAD_MULTIPLE, Encoded
from lm_modules.training.dropout import apply_dropout
from lm_modules.training.finetuning_evaluations import Validation

logger = logging.getLogger(__name__)

MANY = 0.5
"""Part of the training examples from which on it is a warning that they are too long."""


class Subject:
    """A head with what it learns from; `name` and `weight` are those of `finetuning.beside`."""

    network: Any
    """What is trained: the stock network, or an adapter around it."""
    encoded: list[Encoded]
    """The rows that are learned from."""
    batches: LengthGroupedBatches
    """Which of these each step takes."""
    validation: Validation

    def __init__(
        self, config: FinetuningConfig, data: Path, base: str | Path, name: str | None = None, weight: float = 1.0
    ) -> None:
        try:
            config.head.require_fitting(base)
        except ValueError as error:
            raise error if name is None else ValueError(f"finetuning.beside.{name}: {error}") from error
        self.config, self.name, self.weight = config, name, weight
        self.train, self.held_out = (read_examples(data, split) for split in ("train", "validation"))
        self.labels = read_labels(data)
        self.head = config.head.fitted([each.fields for each in self.train])

    def open(self, base: str | Path, *, from_random_weights: bool) -> PreTrainedModel:
        """Draw the head's weights from torch's global generator; return the stock network, which drops out."""
        stock = self.head.network(base, self.labels, from_random_weights=from_random_weights)
        _check_context_length(self.config.context_length, stock)
        apply_dropout(stock, self.config.dropout)  # type: ignore[arg-type]  # closed
        self.network = stock
        return stock

    def read(self, tokenizer: PreTrainedTokenizerBase, seed: int) -> str | None:
        """Encode the examples and plan the batches; return the page that shows some, for heads that have one.

        Before the state is restored: what a head asks its network is what the base says.
        """
        head, config = self.head, self.config
        self.validation = Validation(
            head, self.held_out, tokenizer, self.labels, config.optimization.validation_answers
        )
        by_example = [head.encode(each.fields, tokenizer, self.labels) for each in self.train]
        by_example, self.validation.encoded = (
            head.prepare(self.network, each, tokenizer.pad_token_id) for each in (by_example, self.validation.encoded)
        )
        if config.optimization.class_weights == "balanced" and head.weighs_labels:
            by_example = head.balanced(by_example)
        self.encoded = [row for rows_of_it in by_example for row in rows_of_it]
        if not self.encoded:
            raise ValueError(
                f"no training example fits in {config.context_length} tokens; raise finetuning.context_length"
            )
        self.num_cut = sum(any(row.is_cut for row in rows_of_it) for rows_of_it in by_example)
        self.num_without = sum(not rows_of_it for rows_of_it in by_example)
        self._tell_of_what_is_lost()
        self.batches = LengthGroupedBatches(
            [len(each) for each in self.encoded],
            config.optimization.batch_examples,  # type: ignore[arg-type]  # closed
            seed if self.name is None else _seed_of(self.name, seed),
            pool_batches=1 if head.mixes_lengths() else POOL_BATCHES,
        )
        return head.preview(by_example, tokenizer)

    def _tell_of_what_is_lost(self) -> None:
        lost = self.num_cut + self.num_without
        told, place = ("", "head") if self.name is None else (f" of {self.name}", f"beside.{self.name}.head")
        if lost:
            # the figures tell the number; that some texts are long is no reason to make the batches of all longer
            level = logging.WARNING if lost > MANY * len(self.train) else logging.INFO
            logger.log(
                level,
                "of %d training examples%s, %d are cut and %d teach nothing, as no answer fits: they are longer than "
                "finetuning.context_length, or their answers than finetuning.%s.max_new_tokens",
                *(len(self.train), told, self.num_cut, self.num_without, place),
            )

    def lost(self) -> dict[str, int]:
        """Return how many training examples are cut, and how many teach nothing because no answer fits."""
        before = "" if self.name is None else f"{self.name}/"
        return {f"{before}cut_examples": self.num_cut, f"{before}examples_without_fitting_answer": self.num_without}

    def rows(self, step: int) -> list[Encoded]:
        """Return the rows of a step, a function of the data, the seed and the step; they go round as often as asked."""
        return [self.encoded[row] for row in self.batches[step]]

    def values(self) -> dict[str, float]:
        """Return loss and metrics on the held-out examples: `validation/loss`, or `validation/<name>/loss`."""
        found = self.validation.values(self.network)
        if self.name is None:
            return found
        return {f"validation/{self.name}/{key.removeprefix('validation/')}": value for key, value in found.items()}

    def own(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return a result in which the figures are those of this subject alone, by the names that it has for itself."""
        before = "validation/" if self.name is None else f"validation/{self.name}/"
        figures = {
            f"validation/{key.removeprefix(before)}": value for key, value in result.items() if key.startswith(before)
        }
        rest = {key: value for key, value in result.items() if not key.startswith("validation/")}
        return {**figures, **rest, "validation_answers": len(self.validation.answered)}


def _seed_of(name: str, seed: int) -> int:
    """Return a seed of its own for what is learned beside."""
    return int.from_bytes(hashlib.sha256(f"{name} {seed}".encode()).digest()[:6])


def _check_context_length(context_length: int, network: PreTrainedModel) -> None:
    limit = getattr(network.config, "max_position_embeddings", None)
    padded = math.ceil(context_length / PAD_MULTIPLE) * PAD_MULTIPLE
    if limit is not None and padded > limit:
        largest = limit // PAD_MULTIPLE * PAD_MULTIPLE
        raise ValueError(
            f"finetuning.context_length {context_length} exceeds the model's {limit} positions; set it to {largest}"
        )
