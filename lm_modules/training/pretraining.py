"""Pretraining from packed tokens to a checkpoint, resumed where it was left.

    workdir/checkpoints/step-00000100/     see checkpoints.py

The same call continues a run that was killed, and ends with the same weights to the bit on the same CPU: the batch and
whatever is drawn in a step depend on the step's number alone, and a checkpoint holds the rest.

    pretraining_run.py        what a run consists of
    pretraining_choices.py    how it computes, and for how many steps
    pretraining_filing.py     how it is saved and taken up
    pretraining_figures.py    what it ends with
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from configs.pretraining import PretrainingConfig
from lm_modules.data.packed import CONCATENATE
from lm_modules.training import checkpoints
from lm_modules.training.callbacks.checkpointing import Checkpointing
from lm_modules.training.callbacks.reporting import Reporting
from lm_modules.training.callbacks.stopping import Interrupted, Stopping
from lm_modules.training.going_back import last_good, to_leave_out
from lm_modules.training.guessing import worse_than_guessing
from lm_modules.training.pretraining_choices import choose
from lm_modules.training.pretraining_figures import figures
from lm_modules.training.pretraining_filing import begin_again, resume, save, take_up
from lm_modules.training.pretraining_module import Diverged
from lm_modules.training.pretraining_run import Run
from lm_modules.training.ranks import Ranks, train_together
from lm_modules.training.reporting import Report, keep_going
from lm_modules.training.trainer import fit

logger = logging.getLogger(__name__)


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
        return _finish(Run(*arguments, report if ranks.leads else keep_going, ranks))


def _follow(
    config: PretrainingConfig, tokens: Path, tokenizer: Path, workdir: Path, seed: int, base: Path | None, ranks: Ranks
) -> None:
    """Do what another rank than the first does; how it ends is for the first to tell."""
    with suppress(Interrupted):
        _finish(Run(config, tokens, tokenizer, workdir, seed, base, keep_going, ranks))


def _finish(run: Run) -> dict[str, Any]:
    """Resume or begin, train, and sum up."""
    module = run.module
    resumed_from = resume(run)
    if resumed_from is None:
        choose(run)
    if run.ranks.leads and run.batches.packed.packing != CONCATENATE:
        run.report(module.step, {f"rows/{name}": value for name, value in run.batches.figures().items()})
    _train(run)
    if run.ranks.leads and module.step == module.steps:
        for each in worse_than_guessing(run.config.objective, run.vocabulary.size, run.validation.figures):
            logger.warning(each)
    checkpoint = run.directory / checkpoints.step_name(module.step)
    if module.step < module.steps:
        raise Interrupted(module.step, module.steps, checkpoint)
    return run.ranks.told(figures(run, resumed_from, checkpoint) if run.ranks.leads else {})


def _train(run: Run) -> None:
    """Train to the end; where it diverges, go back and leave the steps out that are to blame."""
    module = run.module
    while True:
        try:
            if module.step < module.steps:
                _fit(run)
            if module.step == module.steps:
                _require_a_result(run)
        except Diverged:
            if not _go_back(run):
                raise
        else:
            return


def _require_a_result(run: Run) -> None:
    """Raise Diverged where the end of the budget is reached without anything to hand on."""
    remedy = "Begin anew with a lower optimization.learning_rate, more warm-up or optimization.clip_norm"
    if run.is_broken():
        raise Diverged(f"the weights after step {run.module.step} are no numbers: training diverged. {remedy}")
    if run.module.last_moved < 0:
        raise Diverged(f"none of the {run.module.steps} steps has moved the weights: all were left out. {remedy}")


def _fit(run: Run) -> None:
    compute, module = run.config.compute, run.module
    stopping = Stopping(run.ranks)
    callbacks: list[Callback] = [stopping]
    if run.ranks.leads:
        callbacks = [
            Reporting(run.report, compute.progress_every_seconds, run.telemetry),
            run.validation,
            run.sampling,
            stopping,
            Checkpointing(partial(save, run), compute.checkpoint_every_steps, partial(_is_among_the_best, run)),
        ]
    trainer = run.trainer(callbacks)
    try:
        fit(trainer, module, module.loader(run.batches, module.step, module.steps, compute.data_workers))
    finally:
        stopping.restore()


def _is_among_the_best(run: Run) -> bool:
    loss = run.loss_of_this_step()
    return loss is not None and run.retention.wants(run.directory, loss)


def _go_back(run: Run) -> bool:
    """Return to the last good checkpoint or else to the first step, to leave steps out from there on.

    False if that would be in vain.
    """
    module = run.module
    steps = to_leave_out(module, broken=run.is_broken())
    if not steps:
        return False
    known = checkpoints.listed(run.directory) if run.ranks.leads else []
    path = run.ranks.told(last_good(known, min(steps)))
    module.clock.pause()
    left_out, clock = module.left_out | steps, module.clock
    if path is None:
        begin_again(run)
    else:
        take_up(run, path, checkpoints.read_state(path))
    module.left_out, module.clock = left_out, clock
    numbers = ", ".join(str(step + 1) for step in sorted(steps))
    place, file = (f"step {module.step}", f" ({path})") if path else ("the first step", "")
    logger.warning("going back to %s; from there on these steps are left out: %s%s", place, numbers, file)
    return True
