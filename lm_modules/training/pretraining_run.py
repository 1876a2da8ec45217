"""What one pretraining consists of: its data, its model, what it measures, and where its checkpoints lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from configs.pretraining import PretrainingConfig
from lm_modules.data.batches import derived_seed, open_batches
from lm_modules.data.packed import PackedTokens
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.vocabulary_loss import set_chunk_rows
from lm_modules.training.callbacks.sampling import Sampling
from lm_modules.training.callbacks.validation import HeldOut, Validation, token_bytes
from lm_modules.training.continuation import Base, begin, require_same_tokenizer, resolved
from lm_modules.training.going_back import is_broken
from lm_modules.training.pretraining_module import PretrainingModule
from lm_modules.training.pretraining_state import identity, refuse_other_tokenizer, refuse_padding
from lm_modules.training.ranks import Ranks
from lm_modules.training.reporting import Report
from lm_modules.training.retention import Retention
from lm_modules.training.telemetry import Telemetry
from lm_modules.training.token_files import require_sound
from lm_modules.training.trainer import build_trainer, threads_of_a_rank


class Run:
    """The parts of a run as one rank has them; how it computes is chosen later (see pretraining_choices.py)."""

    precision: str
    compiled: bool
    telemetry: Telemetry

    def __init__(
        self,
        config: PretrainingConfig,
        tokens: Path,
        tokenizer: Path,
        workdir: Path,
        seed: int,
        base: Path | None,
        report: Report,
        ranks: Ranks,
    ) -> None:
        if base is not None:
            config = resolved(config, base)
            require_same_tokenizer(base, tokenizer)
        self.config, self.seed, self.report, self.ranks, self._start = config, seed, report, ranks, base
        self.directory, self.retention = workdir / "checkpoints", Retention.of(config.compute)
        refuse_other_tokenizer(tokens, tokenizer)
        require_sound(tokens)
        _refuse_too_many_ranks(config, ranks)
        self.base = None if base is None else Base.of(base)
        self.identity = identity(config, tokens, tokenizer, seed, self.base.digest if self.base else None)
        if threads := threads_of_a_rank(config.compute):
            torch.set_num_threads(threads)
        streams = config.objective.streams(config.model.context_length)
        validation, bytes_of = PackedTokens.open(tokens, "validation"), token_bytes(tokenizer)
        held_out = [
            HeldOut(validation, bytes_of, stream, config.validation_tokens, number)
            for number, stream in enumerate(streams)
        ]
        self.batches = open_batches(tokens, streams=streams, sizes=config.batch_sizes, seed=seed)
        packed = self.batches.packed
        refuse_padding(config, packed)
        self.vocabulary = Vocabulary.of(tokenizer, packed.vocab_size, packed.end_of_text_id)
        if self.base is not None:
            self.vocabulary = self.vocabulary.widened(self.base.vocab_size)
        self.validation = Validation(held_out, report, config.validation_every_steps, at_start=base is not None)
        self.sampling = Sampling(held_out[0], tokenizer, report, config.validation_every_steps)
        self.module = self.first_module()

    def first_module(self) -> PretrainingModule:
        """Return a module with the weights that the run begins with, which follow from the seed or are the base's."""
        config, optimization = self.config, self.config.optimization
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "weights"))
        network: Any = begin(config, self.vocabulary, self._start, generator)
        set_chunk_rows(network, config.compute.loss_chunk_rows)
        return PretrainingModule(
            network=network,
            objective=config.objective,
            vocabulary=self.vocabulary,
            scaling=config.model.parametrization.scaling(self.vocabulary.size, optimization.batch_tokens),
            optimization=optimization,
            batch_sizes=config.batch_sizes,
            steps=0,
            key=derived_seed(self.identity["tokens"], self.seed),
            ranks=self.ranks,
        )

    def trainer(self, callbacks: list[Callback]) -> Trainer:
        """Return a Trainer on the device of this rank."""
        return build_trainer(self.config.compute, self.precision, callbacks, self.ranks)

    def is_broken(self) -> bool:
        """Return whether some weight is no number, on any rank."""
        return self.ranks.any(is_broken(self.module.network))

    def loss_of_this_step(self) -> float | None:
        """Return the loss on held-out text, if it was measured at the step where training is."""
        validation = self.validation
        return validation.figures["loss"] if validation.measured_at == self.module.step else None


def _refuse_too_many_ranks(config: PretrainingConfig, ranks: Ranks) -> None:
    if config.batch_sizes.first_rows < ranks.count:
        name = "batch_tokens" if config.optimization.batch_tokens_start is None else "batch_tokens_start"
        raise ValueError(
            f"compute.devices {ranks.count} exceeds the {config.batch_sizes.first_rows} rows of a step; lower it, "
            f"or raise optimization.{name} to {ranks.count * config.model.context_length}"
        )
