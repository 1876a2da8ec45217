"""The sweep: asks Optuna what to try, has it tried in trials side by side, and tells Optuna what came of it.

    study --ask--> Trial --submit--> a task run that trains in a process of its own
      ^                                 | report(step, figures) -> stop
      +------------tell-----------------+

Only the sweep asks and tells, so no two workers can take the same trial, whatever the storage. A sweep that was killed
and is started again under the same name keeps what is finished and continues the trials that were cut off.
"""

from __future__ import annotations

import json
import logging
import math
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from configs.base import Config
from configs.tuning import TuningConfig
from lm_modules.hardware.memory import TooLarge
from tasks.home import optuna_storage, without_credentials
from tasks.locks import file_lock
from tasks.sweep_result import SweepResult, tidy

if TYPE_CHECKING:
    from tasks.study import Study, Trial

logger = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""A trial that ended with its process this often is not tried again: it may be what ends it."""
HOPELESS_FAILURES = 3
"""When so many trials failed and none succeeded, the fault is not in their values."""


class SweepFailed(RuntimeError):  # noqa: N818 (says what happened)
    """No trial succeeded; the message names the first cause."""


class Future(Protocol):
    """What `submit` returns: Prefect's futures and those of the standard library."""

    def add_done_callback(self, fn: Callable[[Any], None], /) -> None:
        """Call `fn` when the trial is over."""

    def result(self) -> Any:
        """Return the result of the trial, or raise what ended it."""


Submit = Callable[["Trial"], Future]


def sweep(
    config: Config,
    tuning: TuningConfig,
    *,
    study_name: str,
    directory: Path,
    seed: int,
    submit: Submit,
    before: Sequence[Config] = (),
    kin: str = "",
) -> SweepResult:
    """Search what is left open in `config`; return all trials, and through them the best.

    Args:
        config: Settings with ranges and choices among their values; without any, one trial is run.
        tuning: How to search.
        study_name: Equal names continue one study; it should follow from everything that changes a trial's result.
        directory: Where the trials keep checkpoints, one directory each. Of two sweeps with one directory the second
            waits for the first.
        seed: Of the sampler.
        before: Settings that a new study tries first, as far as they lie in what is open.
        kin: What studies have in common from which a new one may learn; empty for none.
        submit: Starts a trial and returns its future; `tasks.trial.Finetuning.submit` does it for fine-tuning.

    Raises:
        ValueError: A trial refused its input, and none had ended well or another was refused for the same reason; all
            others are called off.
        SweepFailed: No trial succeeded.
    """
    from tasks.study import Study  # Optuna is imported when it is used
    from tasks.study_storage import open_storage

    directory.mkdir(parents=True, exist_ok=True)
    with file_lock(directory / "sweep.lock"), open_storage(optuna_storage()) as storage:
        study = Study(config, tuning, storage, study_name, directory, seed, before, kin)
        for remark in study.remarks():
            logger.warning(remark)
        study.adopt_orphans()
        trials = (tuning.trials if study.is_open else 1) + study.restore_winner()
        # what is lined up is tried even if earlier sweeps have used more trials than this one may
        budget = max(trials, study.num_finished() + study.num_waiting(repeats_too=False))
        loop = _Sweep(study, tuning, budget)
        loop.drive(submit)
        if study.is_open and tuning.repeats:
            study.line_up_repeats()
            loop.drive(submit)
        tidy(study.result(), directory)
        result = study.result()
        if result.best is None:
            raise SweepFailed(f"no trial of {study_name} was completed; give it more trials, minutes or device_seconds")
        return result.model_copy(update={"importances": study.importances()})


def _put(done: queue.SimpleQueue[tuple[Trial, Future]], trial: Trial, future: Future) -> None:
    done.put((trial, future))


class _Sweep:
    """The loop between the study and the trials, and its limits."""

    def __init__(self, study: Study, tuning: TuningConfig, budget: int) -> None:
        self._study, self._tuning, self._budget = study, tuning, budget
        self._started = time.monotonic()
        self._failures: list[Exception] = []
        self._num_ended_well = 0

    def drive(self, submit: Submit) -> None:
        """Keep as many trials running as may run side by side, until the budget is used."""
        done: queue.SimpleQueue[tuple[Trial, Future]] = queue.SimpleQueue()
        cancelled = threading.Event()
        num_running = 0
        try:
            while True:
                while num_running < self._tuning.parallel and self._wants_more(num_running):
                    trial = self._study.ask(cancelled)
                    if trial.retry_of is None:  # what lies there is of another study that had this name
                        shutil.rmtree(trial.directory, ignore_errors=True)
                    submit(trial).add_done_callback(partial(_put, done, trial))
                    num_running += 1
                if not num_running:
                    return
                trial, future = done.get()
                num_running -= 1
                self._close(trial, future)
        except BaseException:
            # Trials without an outcome stay open in the study: the next sweep of this name continues them.
            cancelled.set()
            for _ in range(num_running):
                done.get()
            raise

    def _wants_more(self, num_running: int) -> bool:
        if self._tuning.minutes is not None and time.monotonic() - self._started > self._tuning.minutes * 60:
            return False
        if self._tuning.device_seconds is not None and self._study.seconds_used() >= self._tuning.device_seconds:
            return False
        if len(self._failures) > self._budget:
            return False  # as many failures as trials: it will not get better
        return self._study.num_waiting() > 0 or self._study.num_finished() + num_running < self._budget

    def _close(self, trial: Trial, future: Future) -> None:
        """Tell the study what came of a trial."""
        try:
            # A trial that has its result counts, even if its task could not tell a server so.
            result = trial.result if trial.result is not None else future.result()
            steps = self._study.steps(trial.number)
            value = None if trial.pruned else self._value(result, steps)
        except Exception as error:
            self._fail(trial, trial.error or error)
            return
        trial.note(result=json.dumps(self._portable(result)))
        self._num_ended_well += 1
        if value is None:
            self._study.tell(trial, "pruned")
            last = max(steps)
            logger.info("trial %d pruned at step %d (%s %.4f)", trial.number, last, self._tuning.metric, steps[last])
        else:
            self._study.tell(trial, "complete", value)
            logger.info("trial %d complete (%s %.4f)", trial.number, self._tuning.metric, value)
        tidy(self._study.result(), self._study.directory, self._tuning.repeat_best if self._tuning.repeats else 1)

    def _portable(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return what a trial returned with its model's path taken from the sweep's directory."""
        if "model" not in result:
            return result
        return {**result, "model": os.path.relpath(result["model"], self._study.directory)}

    def _value(self, result: dict[str, Any], steps: dict[int, float]) -> float:
        """Return the figure by which a trial is judged: that of the weights that it kept, the best that it reported.

        Its own word comes first: it knows what it kept.
        """
        metric = self._tuning.metric
        if math.isfinite(told := result.get(str(metric), math.nan)):
            return float(told)
        if not steps:
            raise ValueError(f"the trial never reported {metric!r}; set tuning.metric to a figure that it reports")
        finite = [value for value in steps.values() if math.isfinite(value)]
        if not finite:
            raise RuntimeError(f"{metric} was never a finite number; the training diverged")
        return max(finite) if self._tuning.direction == "maximize" else min(finite)

    def _is_mistake(self, cause: Exception) -> bool:
        """Whether all trials would fail of it.

        What only some values are too large for, and what is said once after a trial has ended well, is of the values.
        """
        if not isinstance(cause, ValueError) or (isinstance(cause, TooLarge) and self._study.is_open):
            return False
        return not self._num_ended_well or str(cause) in map(str, self._failures)

    def _fail(self, trial: Trial, cause: Exception) -> None:
        trial.note(error=without_credentials(f"{type(cause).__name__}: {cause}")[:2000])
        self._study.tell(trial, "failed")
        if self._is_mistake(cause):
            raise cause
        logger.warning("trial %d failed: %s", trial.number, cause)
        self._failures.append(cause)
        if self._study.num_finished() == 0 and len(self._failures) >= min(HOPELESS_FAILURES, self._budget):
            first = self._failures[0]
            raise SweepFailed(f"all {len(self._failures)} trials failed, the first with: {first}") from first
