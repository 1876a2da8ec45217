"""How a run is written to a checkpoint and taken up from one, or put back to where it began."""

from __future__ import annotations

import logging
import platform
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lm_modules.progress import NOTICE
from lm_modules.training import checkpoints
from lm_modules.training.disk_space import save_where_space_is
from lm_modules.training.going_back import GOOD, is_settled
from lm_modules.training.pretraining_choices import keep
from lm_modules.training.pretraining_run import Run
from lm_modules.training.pretraining_state import (
    optimizer_tensors,
    progress,
    refuse_other,
    restore_optimizers,
    restore_progress,
    restore_weights,
)
from lm_modules.training.retention import VALIDATION_LOSS

logger = logging.getLogger(__name__)


def save(run: Run) -> Path:
    """Write a checkpoint of the step where training is, and delete those that need not be kept."""
    module = run.module
    state = {
        **progress(module),
        "validation": run.validation.figures,
        "validation_before": run.validation.before,
        VALIDATION_LOSS: run.loss_of_this_step(),
        GOOD: is_settled(module),
        "precision": run.precision,
        "compiled": run.compiled,
        "energy_kilowatt_hours": run.telemetry.energy.update(),
        "seed": run.seed,
        "vocabulary": asdict(run.vocabulary),
        "identity": run.identity,
        "config": run.config.model_dump(mode="json"),
        "base": run.base and asdict(run.base),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    tensors = {
        "model": module.network.state_dict(),
        "optimizer": optimizer_tensors(module.network, module.moved_by),
    }
    write = partial(checkpoints.save, run.directory, module.step, tensors, state)
    make_room = partial(run.retention.make_room, run.directory, module.step)
    path = save_where_space_is(write, make_room, run.directory, tensors)
    run.retention.apply(run.directory, module.step)
    return path


def resume(run: Run) -> int | None:
    """Put the newest whole checkpoint in place and return its step; None if there is none."""
    path = run.ranks.told(checkpoints.newest(run.directory) if run.ranks.leads else None)
    if path is None:
        return None
    state = checkpoints.read_state(path)
    refuse_other(path, state["identity"], run.identity)
    take_up(run, path, state)
    keep(run, state["precision"], state["compiled"])
    run.telemetry.energy.kilowatt_hours = state["energy_kilowatt_hours"]
    if run.ranks.leads:
        logger.log(NOTICE, "continuing from step %d of %d (%s)", run.module.step, run.module.steps, path)
    return run.module.step


def take_up(run: Run, checkpoint: Path, state: dict[str, Any]) -> None:
    """Put weights, optimizers, progress and measurements of a checkpoint in the place of the present ones."""
    module, validation = run.module, run.validation
    restore_weights(module.network, checkpoints.read_tensors(checkpoint, "model"))
    restore_optimizers(module.network, module.moved_by, checkpoints.read_tensors(checkpoint, "optimizer"))
    restore_progress(module, state)
    validation.figures, validation.before, validation.measured_at = (
        state["validation"],
        state["validation_before"],
        None,
    )


def begin_again(run: Run) -> None:
    """Put back what the run began with, which follows from the seed and the base."""
    first, validation = run.first_module(), run.validation
    first.steps = run.module.steps
    restore_weights(run.module.network, first.network.state_dict())
    restore_optimizers(run.module.network, run.module.moved_by, {})
    restore_progress(run.module, progress(first))
    validation.figures, validation.before, validation.measured_at = {}, {}, None
