"""Optuna, and all that Rootstock asks of it: studies over the open fields of a config, their trials, their history.

A trial carries who runs it, its MLflow and Prefect runs and what its training returned as attributes, so that the study
tells the whole sweep.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
import warnings
from collections.abc import Sequence
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from configs.base import Config
from configs.tuning import TuningConfig, search_space
from lm_modules.progress import NOTICE
from tasks import ownership, search
from tasks.home import home_id
from tasks.sweep_result import FEWEST_FOR_IMPORTANCES, State, SweepResult, TrialRecord
from tasks.tune import MOST_ATTEMPTS

logger = logging.getLogger(__name__)

STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
CUT_OFF = "its process was ended"
"""The error of a trial whose process was gone when the next sweep began."""
MOST_KIN = 2
"""So many of the last studies of the same kin give their best values to a new one."""
STEPS = "steps"
"""Attribute of a trial: after which steps it reported."""
ENERGY = "energy/kilowatt_hours"
"""Under which name a training tells what it took so far."""


class Trial:
    """One trial while it runs: what it tries, and its line to the study."""

    def __init__(self, trial: optuna.Trial, study: Study, cancelled: threading.Event) -> None:
        self._trial = trial
        self._metric = str(study.tuning.metric)
        self._steps: list[int] = trial.user_attrs.get(STEPS, [])
        self._began, self._devices = time.monotonic(), study.devices
        self.study_name = study.name
        self.number: int = trial.number
        self.values = study.decoded(trial.params)
        """Dotted path of the field -> value."""
        attributes = trial.user_attrs
        self.retry_of: int | None = attributes.get("retry_of")
        self.seed: int = attributes.get("seed", study.training_seed)
        """Of the training: the same for all trials, so that they differ in their values alone, but for repeats."""
        self._is_repeat = "repeat_of" in attributes
        self.first: int = attributes.get("first", trial.number)
        """The number under which this work began; directory and MLflow run go by it."""
        self.directory = study.directory / f"trial-{self.first}"
        """Where it keeps checkpoints; a trial that continues another one finds those here."""
        self.cancelled = cancelled
        """Set when the sweep is called off."""
        self.begin()

    def begin(self) -> None:
        """Forget how an attempt at it ended."""
        self.pruned = False
        self.last_step: int | None = None
        self.result: dict[str, Any] | None = None
        self.error: Exception | None = None

    def report(self, step: int, figures: dict[str, float]) -> bool:
        """File what was seen at `step`; true when the trial fell behind and should end."""
        value = figures.get(self._metric)
        if value is None:
            return self.pruned
        if step not in self._steps:  # a trial that is tried again repeats what came after its checkpoint
            self._file(step, value)
            self.note(seconds=time.monotonic() - self._began, devices=self._devices, kilowatt_hours=figures.get(ENERGY))
        self.last_step = step
        # a repeat is measured against the mean of others, and for that it must come to its end
        self.pruned = not self._is_repeat and self._trial.should_prune()
        return self.pruned

    def recall(self, steps: dict[int, float]) -> None:
        """Take over what the trial reported that this one continues."""
        for step, value in steps.items():
            self._file(step, value)

    def _file(self, step: int, value: float) -> None:
        """Tell Optuna a figure by its number: by steps, trials with batches of other sizes could not be compared."""
        self._steps.append(step)
        self.note(**{STEPS: self._steps})
        self._trial.report(value, len(self._steps))

    def heard(self, number: int | None = None) -> dict[str, Any]:
        """Return the attributes of this trial, or of another, as the study has them now, whoever filed them."""
        return self._trial.study.trials[self.number if number is None else number].user_attrs

    def is_open(self) -> bool:
        """Whether the study still waits for its end."""
        return self._trial.study.trials[self.number].state == TrialState.RUNNING

    def note(self, **attributes: Any) -> None:
        """File attributes (run ids, say) with the trial."""
        for name, value in attributes.items():
            self._trial.set_user_attr(name, value)


def _steps(trial: FrozenTrial) -> dict[int, float]:
    """Return what a trial reported: step -> figure."""
    figures = trial.intermediate_values
    return {
        step: figures[number] for number, step in enumerate(trial.user_attrs.get(STEPS, ()), 1) if number in figures
    }


def _seconds(trial: FrozenTrial) -> float | None:
    """Return how long a trial took or has taken; one that was cut off, as far as it was heard of."""
    if trial.datetime_start is None:
        return None
    # of a trial that waited for a worker, and of one that was cut off, what it said itself
    says = "attempt" in trial.user_attrs or trial.user_attrs.get("error") == CUT_OFF
    if says:
        return float(trial.user_attrs.get("seconds", 0.0))
    return ((trial.datetime_complete or datetime.now()) - trial.datetime_start).total_seconds()


def _repeats(trial: FrozenTrial, first: int) -> bool:
    """Whether a trial is a repeat of the one that began as `first`, and was not given up."""
    return trial.user_attrs.get("repeat_of") == first and trial.state != TrialState.FAIL


class Study:
    """An Optuna study over the open fields of a config; `before` are settings to try first if it is new."""

    def __init__(
        self,
        config: Config,
        tuning: TuningConfig,
        storage: BaseStorage,
        name: str,
        directory: Path,
        seed: int,
        before: Sequence[Config] = (),
        kin: str = "",
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # the sweep says itself what came of each trial
        warnings.filterwarnings("ignore", "All-NaN slice encountered")  # the pruner, of a trial that diverged
        self.tuning, self.name, self.directory, self.seed = tuning, name, directory, seed
        self.training_seed = seed
        self._space = search_space(config)
        self._left: list[int] = []
        """Trials that an earlier sweep had given to workers."""
        self.devices: int = getattr(getattr(config, "compute", None), "devices", 1)
        self._study = optuna.create_study(
            study_name=name,
            storage=storage,
            load_if_exists=True,
            direction=tuning.direction,
            pruner=search.pruner(tuning),
        )
        # a continued study must not draw its first random values again
        self._study.sampler = search.sampler(tuning, seed + len(self._study.trials))
        if self._space and not self._study.trials:
            self._begin(storage, before, kin)

    def _begin(self, storage: BaseStorage, before: Sequence[Config], kin: str) -> None:
        """Line up what is tried first: what was best before, and the middle of all that is open.

        By chance alone a short sweep may miss a whole part of it.
        """
        self._study.set_user_attr("kin", kin)
        self._study.set_user_attr("warm_start", self.tuning.warm_start)
        first = [search.params(self._space, each) for each in before]
        if self.tuning.warm_start and kin:
            first += self._best_of_kin(storage, kin)
        first = [each for number, each in enumerate(first) if each and each not in first[:number]]
        for params in [*first, search.middles(self._space)][: self.tuning.trials]:
            self._study.enqueue_trial(params, skip_if_exists=True)
        if first:
            logger.info("%d trials begin with what was best before", len(first))

    def _best_of_kin(self, storage: BaseStorage, kin: str) -> list[dict[str, Any]]:
        """Return what won the last studies of the same kin, the newest first, as far as it lies in what is open now."""
        found: list[dict[str, Any]] = []
        for each in sorted(storage.get_all_studies(), key=lambda each: -each._study_id):
            if each.study_name == self.name or each.user_attrs.get("kin") != kin or len(found) == MOST_KIN:
                continue
            other = copy(self)
            other._study = optuna.load_study(study_name=each.study_name, storage=storage)
            other._space = {}  # its own is not known here, nor asked for
            if each.directions == self._study.directions and (winner := other.result().winner):
                fitting = search.known(self._space, other._study.trials[winner.number].params)
                found += [fitting] if fitting else []
        return found

    @property
    def is_open(self) -> bool:
        """Whether there is anything to search."""
        return bool(self._space)

    def remarks(self) -> list[str]:
        """Return a sentence for each setting of the sweep that has no effect on this study."""
        found = self.tuning.remarks(self.is_open)
        if self.tuning.warm_start and not self._study.user_attrs.get("warm_start", True):
            found.append(
                "tuning.warm_start has no effect: this sweep began without it, and goes on; change seed for a new one"
            )
        return found

    def ask(self, cancelled: threading.Event) -> Trial:
        """Return the next trial: one that a worker was left with, one that was cut off, or new values."""
        if self._left:
            trial = self.join(self._left.pop(0), cancelled)
            trial.note(**ownership.owner_tags())
            return trial
        asked = self._study.ask()
        search.draw(asked, self._space)
        trial = Trial(asked, self, cancelled)
        trial.note(devices=self.devices, **ownership.owner_tags())
        if trial.retry_of is not None:
            trial.recall(self.steps(trial.retry_of))
        return trial

    def join(self, number: int, cancelled: threading.Event) -> Trial:
        """Return a trial that another process has asked for."""
        asked = optuna.trial.Trial(self._study, self._study.trials[number]._trial_id)
        return Trial(asked, self, cancelled)

    def tell(self, trial: Trial, state: State, value: float | None = None) -> None:
        """File how a trial ended: complete with its value, pruned or failed."""
        self._study.tell(trial.number, value, state={name: each for each, name in STATES.items()}[state])

    def steps(self, number: int) -> dict[int, float]:
        """Return what a trial reported: step -> figure."""
        return _steps(self._study.trials[number])

    def num_finished(self) -> int:
        """Return how many trials are complete or pruned, repeats not counted."""
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        return sum(each.state in ended and "repeat_of" not in each.user_attrs for each in self._study.trials)

    def seconds_used(self) -> float:
        """Return how long all trials have taken together, a second of each of their devices for one."""
        return sum((_seconds(each) or 0.0) * each.user_attrs.get("devices", 1) for each in self._study.trials)

    def line_up_repeats(self) -> None:
        """Line up the best trials again with as many other seeds as they still lack, all with one before the next."""
        leading = self.result().leading()[: self.tuning.repeat_best]
        trials = self._study.trials
        for seed in range(self.training_seed + 1, self.training_seed + 1 + self.tuning.repeats):
            for each in leading:
                if seed not in {other.user_attrs.get("seed") for other in trials if _repeats(other, each.first)}:
                    again = {"repeat_of": each.first, "seed": seed}
                    self._study.enqueue_trial(trials[each.number].params, user_attrs=again)

    def num_waiting(self, *, repeats_too: bool = True) -> int:
        """Return how many trials are lined up, or are to be followed again."""
        trials = self._study.trials
        waiting = [each for each in trials if each.state == TrialState.WAITING or each.number in self._left]
        return sum(repeats_too or "repeat_of" not in each.user_attrs for each in waiting)

    def adopt_orphans(self) -> None:
        """Line up again, with the same values, the trials whose process is gone; follow those that workers have."""
        trials = self._study.trials
        continued = {each.user_attrs.get("retry_of") for each in trials}
        for each in trials:
            if each.state != TrialState.RUNNING or self._is_at_work(each.user_attrs):
                continue
            if self.tuning.work_pool and ownership.FLOW_RUN in each.user_attrs:
                self._left.append(each.number)
                logger.log(NOTICE, "trial %d was left to a worker; it is followed again", each.number)
                continue
            attempts = each.user_attrs.get("attempts", 1)
            again = attempts < MOST_ATTEMPTS and each.number not in continued
            if again:
                self._try_again(each.number, each.params, each.user_attrs, attempts + 1)
            cut_off = optuna.trial.Trial(self._study, each._trial_id)
            cut_off.set_user_attr("error", CUT_OFF)
            self._study.tell(each.number, state=TrialState.FAIL)
            logger.log(NOTICE, "trial %d was cut off; it is %s", each.number, "continued" if again else "given up")

    def restore_winner(self) -> bool:
        """Line up the best trial again if its model was deleted since; true if so."""
        result = self.result()
        if result.winner is None or result.best is not None:
            return False
        if any(each.state == "waiting" and each.first == result.winner.first for each in result.trials):
            return False
        lost = self._study.trials[result.winner.number]
        self._try_again(None, lost.params, {"first": result.winner.first}, attempts=1)
        logger.info("the model of trial %d is gone; it is trained again", lost.number)
        return True

    def _try_again(
        self, retry_of: int | None, params: dict[str, Any], attributes: dict[str, Any], attempts: int
    ) -> None:
        first = attributes.get("first", retry_of)
        kept = {name: attributes[name] for name in ("repeat_of", "seed") if name in attributes}
        again = {"retry_of": retry_of, "first": first, "attempts": attempts}
        self._study.enqueue_trial(params, user_attrs=again | kept)

    @staticmethod
    def _is_at_work(attributes: dict[str, Any]) -> bool:
        """Whether another sweep may have the trial; for those of this home its lock says that none has."""
        return attributes.get(ownership.HOME) != home_id() and ownership.may_live(attributes)

    def decoded(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return Optuna's parameters as values of the config."""
        return search.values(self._space, params)

    def result(self) -> SweepResult:
        """Return everything that is known of the study but the importances."""
        trials = self._study.trials
        continued = {each.user_attrs.get("retry_of") for each in trials}
        return SweepResult(
            study=self.name,
            metric=str(self.tuning.metric),
            direction=self.tuning.direction,
            trials=tuple(self._record(each, each.number in continued) for each in trials),
        )

    def _record(self, trial: FrozenTrial, continued: bool) -> TrialRecord:
        attributes = trial.user_attrs
        # what diverged has no figure: NaN is neither drawn nor read back from JSON
        steps = {step: value for step, value in _steps(trial).items() if math.isfinite(value)}
        result = json.loads(attributes.get("result", "{}"))
        return TrialRecord(
            number=trial.number,
            state="continued" if continued else STATES[trial.state],
            value=trial.value if trial.value is not None or not steps else steps[max(steps)],
            values=self.decoded(trial.params),
            steps=tuple(sorted(steps.items())),
            seconds=_seconds(trial) if trial.state.is_finished() else None,
            devices=attributes.get("devices", 1),
            # the training that went on with it has counted on
            kilowatt_hours=None if continued else attributes.get("kilowatt_hours"),
            run_id=attributes.get("mlflow_run_id"),
            task_run_id=attributes.get("prefect_task_run_id"),
            retry_of=attributes.get("retry_of"),
            first=attributes.get("first", trial.number),
            repeat_of=attributes.get("repeat_of"),
            result=result,
            kept="model" not in result or (self.directory / result["model"]).is_dir(),
            error=attributes.get("error"),
        )

    def importances(self) -> dict[str, float]:
        """Return how much of the differences between trials each open field explains (fANOVA, Hutter et al. 2014)."""
        complete = [each for each in self._study.trials if each.state == TrialState.COMPLETE]
        # what lies open inside a choice has no value in trials that chose otherwise, and fANOVA asks all for one
        varied = [path for path in self._space if len({each.params.get(path) for each in complete}) > 1]
        if len(complete) < FEWEST_FOR_IMPORTANCES or len({each.value for each in complete}) == 1 or not varied:
            return {}
        evaluator = FanovaImportanceEvaluator(seed=self.seed)
        found = get_param_importances(self._study, evaluator=evaluator, params=varied)
        return {path: float(share) for path, share in found.items()}
