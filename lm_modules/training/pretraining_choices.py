"""How a run computes, and for how many steps: chosen when it begins, and kept when it goes on.

Rank 0 chooses and tells the others: what is timed might come out differently on each.
"""

from __future__ import annotations

import copy
import logging
import statistics
from collections.abc import Sequence
from itertools import pairwise

from lm_modules.progress import NOTICE
from lm_modules.training import compilation
from lm_modules.training.callbacks.reporting import Reporting
from lm_modules.training.compilation import Compilation
from lm_modules.training.pretraining_run import Run
from lm_modules.training.remarks import rate_remarks, remarks
from lm_modules.training.reporting import Values
from lm_modules.training.telemetry import Telemetry
from lm_modules.training.trainer import fit, resolve_precision

logger = logging.getLogger(__name__)

TIMED_STEPS = 12
"""Steps that are timed where the budget is in minutes."""
WARM_UP_STEPS = 2
"""The first of them, which are left out: they compile, and fill caches."""


def choose(run: Run) -> None:
    """Choose number format, compilation and number of steps of a run that begins."""
    _compute_in(run, resolve_precision(run.config.compute) if run.ranks.leads else None)
    _compile(run, run.ranks.told(_compilation(run)))
    run.module.steps = run.ranks.told(_num_steps(run))
    if run.ranks.leads:
        for each in [*remarks(run.config.optimization, run.module.steps), *rate_remarks(run.config)]:
            logger.warning(each)


def keep(run: Run, precision: str, compiled: bool) -> None:
    """Go on with number format and compilation as the run began."""
    _compute_in(run, resolve_precision(run.config.compute, precision) if run.ranks.leads else None)
    _compile(run, compilation.resumed(run.config.compute, compiled))


def _compute_in(run: Run, precision: str | None) -> None:
    told = run.ranks.told(precision)
    assert told is not None
    run.precision = told
    run.telemetry = Telemetry(run.config, run.vocabulary.size, told, run.ranks)


def _compilation(run: Run) -> Compilation:
    """Choose by the budget."""
    optimization, telemetry = run.config.optimization, run.telemetry
    if optimization.budget_minutes is not None:
        return compilation.choose(run.config.compute, telemetry.peak, None, optimization.budget_minutes * 60)
    tokens = _num_steps(run) * optimization.batch_tokens
    flops = telemetry.flops_per_token and telemetry.flops_per_token * tokens / run.ranks.count
    return compilation.choose(run.config.compute, telemetry.peak, flops)


def _compile(run: Run, choice: Compilation) -> None:
    compilation.carry_out(choice, run.module.network)
    run.compiled = choice.wanted


def _num_steps(run: Run) -> int:
    optimization = run.config.optimization
    if optimization.budget_steps is not None:
        return optimization.budget_steps
    if optimization.budget_tokens is not None:
        return run.config.batch_sizes.steps_for(optimization.budget_tokens)
    assert optimization.budget_minutes is not None
    seconds = _seconds_per_step(run)
    full_steps = int(optimization.budget_minutes * 60 / seconds)
    steps = max(1, run.config.batch_sizes.steps_for(full_steps * optimization.batch_tokens))
    if run.ranks.leads:
        words = "a step takes %.3g s: %d steps fill %g minute%s"
        minutes = optimization.budget_minutes
        logger.log(NOTICE, words, seconds, steps, minutes, "" if minutes == 1 else "s")
    return steps


def _seconds_per_step(run: Run) -> float:
    """Time a few steps of a copy, so that the run itself has not moved; steps whose batch has grown up."""
    timed = copy.deepcopy(run.module)
    # what steps that are no good lead to is for the run itself to see
    timed.optimization = timed.optimization.model_copy(update={"max_skipped_steps": TIMED_STEPS})
    if run.compiled:  # the copy is not
        compilation.compile_layers(timed.network)
    timed.step = run.config.batch_sizes.ramp_steps
    timed.steps = timed.step + TIMED_STEPS
    stamps: list[float] = []

    def stamp(step: int, values: Values) -> bool:
        stamps.append(timed.clock.seconds)
        return False

    trainer = run.trainer([Reporting(stamp, 0.0)])
    fit(trainer, timed, timed.loader(run.batches, timed.step, timed.steps))
    return typical_seconds(stamps)


def typical_seconds(stamps: Sequence[float]) -> float:
    """Return the median time of a step, of the moments at which steps ended: a few slow ones do not count."""
    return statistics.median(end - start for start, end in pairwise(stamps[WARM_UP_STEPS - 1 :]))
