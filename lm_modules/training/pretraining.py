"""Pretraining from packed tokens to a checkpoint, resumed where it was left.

    workdir/checkpoints/step-00000100/     see checkpoints.py

The same call continues a run that was killed, and ends with the same weights to the bit on the same CPU: the batch and
whatever is drawn in a step depend on the step's number alone, and a checkpoint holds the rest.
"""

from __future__ import annotations

import copy
import logging
import platform
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from configs.pretraining import PretrainingConfig
from lm_modules.data.batches import derived_seed, open_batches
from lm_modules.data.packed import PackedTokens
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.vocabulary_loss import set_chunk_rows
from lm_modules.training import checkpoints, compilation
from lm_modules.training.callbacks.checkpointing import Checkpointing
from lm_modules.training.callbacks.reporting import Reporting
from lm_modules.training.callbacks.sampling import Sampling
from lm_modules.training.callbacks.stopping import Stopping
from lm_modules.training.callbacks.validation import HeldOut, Validation, token_bytes
from lm_modules.training.compilation import Compilation
from lm_modules.training.continuation import Base, begin, require_same_tokenizer, resolved
from lm_modules.training.disk_space import save_where_space_is
from lm_modules.training.going_back import GOOD, is_broken, is_settled, last_good, to_leave_out
from lm_modules.training.pretraining_module import Diverged, PretrainingModule
from lm_modules.training.pretraining_state import (
    identity,
    optimizer_tensors,
    progress,
    refuse_other,
    refuse_other_tokenizer,
    restore_optimizers,
    restore_progress,
    restore_weights,
)
from lm_modules.training.ranks import Ranks, train_together, uses_gpu
from lm_modules.training.reporting import Report, Values, keep_going
from lm_modules.training.retention import VALIDATION_LOSS, Retention
from lm_modules.training.telemetry import Telemetry
from lm_modules.training.trainer import build_trainer, fit, resolve_precision, threads_of_a_rank

logger = logging.getLogger(__name__)

TIMED_STEPS = 6
"""Steps that are timed, the first two left out, where the budget is in minutes."""


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """Training was asked to end before its last step; its checkpoint is saved, and the same call continues it."""

    def __init__(self, step: int, steps: int, checkpoint: Path) -> None:
        super().__init__(f"stopped in order after step {step} of {steps}; the same command continues from {checkpoint}")
        self.step, self.steps, self.checkpoint = step, steps, checkpoint


def pretrain(
    config: PretrainingConfig,
    *,
    tokens: Path,
    tokenizer: Path,
    workdir: Path,
    seed: int,
    report: Report = keep_going,
    base: Path | None = None,
) -> dict[str, Any]:
    """Train to the end of the budget and return figures and the path of the last checkpoint.

    The weights begin with those of the model in the directory `base`, or at random.
    Continues from the newest whole checkpoint in `workdir`; one of other data or settings is refused (ValueError).
    Raises Interrupted after an orderly stop: SIGTERM, SIGINT, or `report` returning true.
    """
    arguments = (config, Path(tokens), Path(tokenizer), Path(workdir), seed, base and Path(base))
    with train_together(config.compute, partial(_follow, *arguments)) as ranks:
        return _Run(*arguments, report if ranks.leads else keep_going, ranks).finish()


def _follow(
    config: PretrainingConfig, tokens: Path, tokenizer: Path, workdir: Path, seed: int, base: Path | None, ranks: Ranks
) -> None:
    """Do what another rank than the first does; how it ends is for the first to tell."""
    with suppress(Interrupted):
        _Run(config, tokens, tokenizer, workdir, seed, base, keep_going, ranks).finish()


class _Run:
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
        self.config, self.seed, self.report, self.ranks, self.start = config, seed, report, ranks, base
        self.directory, self.retention = workdir / "checkpoints", Retention.of(config.compute)
        refuse_other_tokenizer(tokens, tokenizer)
        if config.batch_sizes.first_rows < ranks.count:
            name = "batch_tokens" if config.optimization.batch_tokens_start is None else "batch_tokens_start"
            raise ValueError(
                f"compute.devices {ranks.count} exceeds the {config.batch_sizes.first_rows} rows of a step; lower it, "
                f"or raise optimization.{name} to {ranks.count * config.model.context_length}"
            )
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
        self.vocabulary = Vocabulary.of(tokenizer, packed.vocab_size, packed.end_of_text_id)
        if self.base is not None:
            self.vocabulary = self.vocabulary.widened(self.base.vocab_size)
        self.validation = Validation(held_out, self.report, config.validation_every_steps, at_start=base is not None)
        self.sampling = Sampling(held_out[0], tokenizer, self.report, config.validation_every_steps)
        self.module = self._module()

    def _module(self) -> PretrainingModule:
        config, optimization = self.config, self.config.optimization
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "weights"))
        network: Any = begin(config, self.vocabulary, self.start, generator)
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

    def finish(self) -> dict[str, Any]:
        """Resume or begin, train, and sum up."""
        module = self.module
        resumed_from = self._resume()
        if resumed_from is None:
            self._compute_in(resolve_precision(self.config.compute) if self.ranks.leads else None)
            self._compile(self.ranks.told(self._compilation()))
            module.steps = self.ranks.told(self._num_steps())
        self._train()
        checkpoint = self.directory / checkpoints.step_name(module.step)
        if module.step < module.steps:
            raise Interrupted(module.step, module.steps, checkpoint)
        return self.ranks.told(self._figures(resumed_from, checkpoint) if self.ranks.leads else {})

    def _compute_in(self, precision: str | None) -> None:
        """Take the number format that rank 0 has chosen: where it is timed, ranks might differ."""
        told = self.ranks.told(precision)
        assert told is not None
        self.precision = told
        self.telemetry = Telemetry(self.config, self.vocabulary.size, told, self.ranks)

    def _train(self) -> None:
        """Train to the end; where it diverges, go back and leave the steps out that are to blame."""
        module = self.module
        while True:
            try:
                if module.step < module.steps:
                    self._fit()
                if module.step == module.steps and self._is_broken():
                    raise Diverged(
                        f"the weights after step {module.step} are no numbers: training diverged. Begin anew with a "
                        "lower optimization.learning_rate, more warm-up or optimization.clip_norm"
                    )
            except Diverged:
                if not self._go_back():
                    raise
            else:
                return

    def _fit(self) -> None:
        compute, module = self.config.compute, self.module
        stopping = Stopping(self.ranks)
        callbacks: list[Callback] = [stopping]
        if self.ranks.leads:
            callbacks = [
                Reporting(self.report, compute.progress_every_seconds, self.telemetry),
                self.validation,
                self.sampling,
                stopping,
                Checkpointing(self._save, compute.checkpoint_every_steps, self._is_among_the_best),
            ]
        trainer = self._trainer(callbacks)
        try:
            fit(trainer, module, module.loader(self.batches, module.step, module.steps, compute.data_workers))
        finally:
            stopping.restore()

    def _trainer(self, callbacks: list[Callback]) -> Trainer:
        gpu = self.ranks.device if self.ranks.count > 1 and uses_gpu(self.config.compute) else None
        return build_trainer(self.config.compute, self.precision, callbacks, gpu)

    def _is_among_the_best(self) -> bool:
        loss = self._loss_of_this_step()
        return loss is not None and self.retention.wants(self.directory, loss)

    def _loss_of_this_step(self) -> float | None:
        validation = self.validation
        return validation.figures["loss"] if validation.measured_at == self.module.step else None

    def _go_back(self) -> bool:
        """Return to the last good checkpoint or else to the first step, to leave steps out from there on.

        False if that would be in vain.
        """
        module = self.module
        steps = to_leave_out(module, broken=self._is_broken())
        if not steps:
            return False
        known = checkpoints.listed(self.directory) if self.ranks.leads else []
        path = self.ranks.told(last_good(known, min(steps)))
        module.clock.pause()
        left_out, clock = module.left_out | steps, module.clock
        if path is None:
            self._begin_again()
        else:
            self._take_up(path, checkpoints.read_state(path))
        module.left_out, module.clock = left_out, clock
        numbers = ", ".join(str(step + 1) for step in sorted(steps))
        place = path or "the first step"
        logger.warning("going back to %s; from there on these steps are left out: %s", place, numbers)
        return True

    def _begin_again(self) -> None:
        """Put back what the run began with, which follows from the seed and the base."""
        first, validation = self._module(), self.validation
        first.steps = self.module.steps
        restore_weights(self.module.network, first.network.state_dict())
        restore_optimizers(self.module.network, self.module.moved_by, {})
        restore_progress(self.module, progress(first))
        validation.figures, validation.before, validation.measured_at = {}, {}, None

    def _is_broken(self) -> bool:
        return self.ranks.any(is_broken(self.module.network))

    def _compilation(self) -> Compilation:
        """Choose for a new run, by its budget."""
        optimization, telemetry = self.config.optimization, self.telemetry
        if optimization.budget_minutes is not None:
            return compilation.choose(self.config.compute, telemetry.peak, None, optimization.budget_minutes * 60)
        tokens = self._num_steps() * optimization.batch_tokens
        flops = telemetry.flops_per_token and telemetry.flops_per_token * tokens / self.ranks.count
        return compilation.choose(self.config.compute, telemetry.peak, flops)

    def _compile(self, choice: Compilation) -> None:
        compilation.carry_out(choice, self.module.network)
        self.compiled = choice.wanted

    def _num_steps(self) -> int:
        optimization = self.config.optimization
        if optimization.budget_steps is not None:
            return optimization.budget_steps
        if optimization.budget_tokens is not None:
            return self.config.batch_sizes.steps_for(optimization.budget_tokens)
        assert optimization.budget_minutes is not None
        seconds = self._seconds_per_step()
        full_steps = int(optimization.budget_minutes * 60 / seconds)
        steps = max(1, self.config.batch_sizes.steps_for(full_steps * optimization.batch_tokens))
        logger.info("a step takes %.3f s: %d steps fill %g minutes", seconds, steps, optimization.budget_minutes)
        return steps

    def _seconds_per_step(self) -> float:
        """Time a few steps of a copy, so that the run itself has not moved; steps whose batch has grown up."""
        timed = copy.deepcopy(self.module)
        # what steps that are no good lead to is for the run itself to see
        timed.optimization = timed.optimization.model_copy(update={"max_skipped_steps": TIMED_STEPS})
        if self.compiled:  # the copy is not
            compilation.compile_layers(timed.network)
        timed.step = self.config.batch_sizes.ramp_steps
        timed.steps = timed.step + TIMED_STEPS
        stamps: list[float] = []

        def stamp(step: int, values: Values) -> bool:
            stamps.append(timed.clock.seconds)
            return False

        trainer = self._trainer([Reporting(stamp, 0.0)])
        fit(trainer, timed, timed.loader(self.batches, timed.step, timed.steps))
        return (stamps[-1] - stamps[1]) / (len(stamps) - 2)

    def _resume(self) -> int | None:
        """Put the newest whole checkpoint in place and return its step; None if there is none."""
        path = self.ranks.told(checkpoints.newest(self.directory) if self.ranks.leads else None)
        if path is None:
            return None
        state = checkpoints.read_state(path)
        refuse_other(path, state["identity"], self.identity)
        self._take_up(path, state)
        self._compute_in(resolve_precision(self.config.compute, state["precision"]) if self.ranks.leads else None)
        self.telemetry.energy.kilowatt_hours = state["energy_kilowatt_hours"]
        self._compile(compilation.resumed(self.config.compute, state["compiled"]))
        logger.info("continuing from %s", path)
        return self.module.step

    def _take_up(self, checkpoint: Path, state: dict[str, Any]) -> None:
        module, validation = self.module, self.validation
        restore_weights(module.network, checkpoints.read_tensors(checkpoint, "model"))
        restore_optimizers(module.network, module.moved_by, checkpoints.read_tensors(checkpoint, "optimizer"))
        restore_progress(module, state)
        validation.figures, validation.before, validation.measured_at = (
            state["validation"],
            state["validation_before"],
            None,
        )

    def _save(self) -> Path:
        module = self.module
        state = {
            **progress(module),
            "validation": self.validation.figures,
            "validation_before": self.validation.before,
            VALIDATION_LOSS: self._loss_of_this_step(),
            GOOD: is_settled(module),
            "precision": self.precision,
            "compiled": self.compiled,
            "energy_kilowatt_hours": self.telemetry.energy.update(),
            "seed": self.seed,
            "vocabulary": asdict(self.vocabulary),
            "identity": self.identity,
            "config": self.config.model_dump(mode="json"),
            "base": self.base and asdict(self.base),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }
        tensors = {
            "model": module.network.state_dict(),
            "optimizer": optimizer_tensors(module.network, module.moved_by),
        }
        retain = partial(self.retention.apply, self.directory, module.step)
        save = partial(checkpoints.save, self.directory, module.step, tensors, state)
        make_room = partial(self.retention.make_room, self.directory, module.step)
        path = save_where_space_is(save, make_room, self.directory, tensors)
        retain()
        return path

    def _figures(self, resumed_from: int | None, checkpoint: Path) -> dict[str, Any]:
        module, figures = self.module, self.validation.figures
        tokens_per_second = module.tokens_seen / max(module.clock.seconds, 1e-9)
        return {
            "steps": module.step,
            "tokens_seen": module.tokens_seen,
            "skipped_steps": module.num_skipped,
            "seconds": module.clock.seconds,
            "tokens_per_second": tokens_per_second,
            "train_loss_nats": sum(module.recent_losses) / max(len(module.recent_losses), 1),
            "validation_loss_nats": figures["loss"],
            "validation_loss_nats_before": self.validation.before.get("loss"),
            "validation_bits_per_byte": figures.get("bits_per_byte"),
            "num_parameters": sum(parameter.numel() for parameter in module.network.parameters()),
            "precision": self.precision,
            "compiled": self.compiled,
            **self.telemetry.figures(tokens_per_second),
            "resumed_from_step": resumed_from,
            "begins_with": self._begins_with(),
            "checkpoint": str(checkpoint),
        }

    def _begins_with(self) -> str:
        if self.base is None:
            return "random weights"
        return f"{self.base.config['model_type']}, {'as it is' if self.config.as_it_is else 'imported'}"
