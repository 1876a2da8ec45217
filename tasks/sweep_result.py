"""What a sweep found: every trial, the best one, and how much each hyperparameter mattered. Plain data, as JSON."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

RECORDS = (".json", ".jsonl", ".txt", ".html")
"""Files of a trial that stay when its weights go."""


FEWEST_FOR_IMPORTANCES = 4
"""Complete trials below which the importances would be noise."""

State = Literal["complete", "pruned", "failed", "continued", "running", "waiting"]


class TrialRecord(BaseModel):
    """One trial."""

    model_config = ConfigDict(frozen=True)

    number: int
    state: State
    """`continued`: it was cut off, and the trial whose `retry_of` is this one's number went on with it."""
    value: float | None
    """The best figure of a complete trial; the last one of any other."""
    values: dict[str, Any]
    """Hyperparameters: dotted path -> value."""
    steps: tuple[tuple[int, float], ...]
    """What it reported: (step, figure)."""
    seconds: float | None
    devices: int = 1
    kilowatt_hours: float | None = None
    """The energy that its training took, as far as it told, with that of the trials that it continues."""
    run_id: str | None
    """Its MLflow run."""
    task_run_id: str | None
    """Its Prefect task run."""
    retry_of: int | None
    first: int
    """The number under which this work began."""
    repeat_of: int | None = None
    """The trial (its `first`) whose values this one repeats with another seed."""
    result: dict[str, Any]
    """What its training returned; the path of its model is the one within the sweep's directory."""
    kept: bool
    """Whether the model that it returned, if any, is still there."""
    error: str | None

    @property
    def directory(self) -> str:
        """Return the name of its directory within the sweep's."""
        return f"trial-{self.first}"

    @property
    def model(self) -> str | None:
        """Return the path of its model within the sweep's directory."""
        return self.result.get("model")

    def usable(self) -> bool:
        """Tell whether it is complete and its model is still there."""
        return self.state == "complete" and self.kept


class SweepResult(BaseModel):
    """All trials of a study."""

    model_config = ConfigDict(frozen=True)

    study: str
    metric: str
    direction: Literal["maximize", "minimize"]
    trials: tuple[TrialRecord, ...]
    importances: dict[str, float] = {}
    """Share of the differences between trials that each hyperparameter explains; empty for too few trials."""

    @property
    def why_no_importances(self) -> str | None:
        """Say why a sweep has none; what has nothing open, or a single trial, is none."""
        num_trials = len({each.first for each in self.trials})
        if self.importances or num_trials < 2 or not any(each.values for each in self.trials):
            return None
        complete = [each for each in self.trials if each.state == "complete"]
        if len(complete) < FEWEST_FOR_IMPORTANCES:
            return (
                f"Which hyperparameter mattered is told from {FEWEST_FOR_IMPORTANCES} complete trials on; "
                f"of {num_trials} trials {len(complete)} ended complete."
            )
        same = "figure" if len({each.value for each in complete}) == 1 else "values"
        return f"Which hyperparameter mattered is not told: all complete trials have the same {same}."

    @property
    def best(self) -> TrialRecord | None:
        """Return the best trial whose model is there; the earlier of equals."""
        return next(iter(self.ranked([each for each in self.trials if each.usable()])), None)

    @property
    def winner(self) -> TrialRecord | None:
        """Return the best trial, whether or not its model is still there."""
        return next(iter(self.ranked([each for each in self.trials if each.state == "complete"])), None)

    def ranked(self, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
        """Return the trials but the repeats, the best first: by the mean of what their seeds gave, once some have more.

        A trial that was not repeated, where others were, stands behind them: it was not among the best. One whose
        repeats failed is ranked by what is known of it. While one of the best still waits for its repeat, nothing is
        known of the others' chances, and all are ranked by what they gave.
        """
        sign = 1 if self.direction == "maximize" else -1
        asked = {each.repeat_of for each in self.trials}
        repeated = {each.repeat_of for each in self.trials if each.state in ("complete", "failed")}
        if asked != repeated | {None}:
            repeated = set()
        values = {each.number: self.values_of_seeds(each) for each in trials if each.repeat_of is None}

        def key(each: TrialRecord) -> tuple[bool, float, int]:
            found = values[each.number]
            return each.first not in repeated, -sign * sum(found) / len(found), each.number

        return sorted((each for each in trials if each.repeat_of is None), key=key)

    def leading(self) -> list[TrialRecord]:
        """Return the complete trials but the repeats, the best by its own figure first: what is worth a repeat."""
        sign = 1 if self.direction == "maximize" else -1
        newest = {each.first: each for each in self.trials if each.state == "complete" and each.repeat_of is None}
        return sorted(newest.values(), key=lambda each: (-sign * (each.value or 0.0), each.number))

    def values_of_seeds(self, trial: TrialRecord) -> list[float]:
        """Return the figure of a trial, and those of its repeats."""
        repeats = [each for each in self.trials if each.repeat_of == trial.first and each.state == "complete"]
        return [each.value or 0.0 for each in (trial, *repeats)]

    @property
    def has_repeats(self) -> bool:
        """Whether some trials were run again with other seeds."""
        return any(each.repeat_of is not None for each in self.trials)

    def table(self) -> list[dict[str, Any]]:
        """Return one row a trial, for MLflow's tables and the report."""
        return [
            {
                "trial": each.number,
                "state": each.state,
                **({"repeat_of": each.repeat_of} if self.has_repeats else {}),
                self.metric: each.value,
                **each.values,
                "seconds": each.seconds,
                "device_seconds": None if each.seconds is None else each.seconds * each.devices,
                "energy_kilowatt_hours": each.kilowatt_hours,
                "last_step": each.steps[-1][0] if each.steps else None,
                "run_id": each.run_id,
                "task_run_id": each.task_run_id,
                "error": each.error,
            }
            for each in self.trials
        ]


def tidy(result: SweepResult, directory: Path, num_kept: int = 1) -> None:
    """Remove the weights of all finished trials of a sweep but the models of the best; their records stay."""
    best = [*result.leading()[:num_kept], result.best] if num_kept > 1 else [result.best]
    kept = [directory / each.model for each in best if each and each.usable() and each.model]
    at_work = {each.directory for each in result.trials if each.state in ("running", "waiting")}
    for trial in result.trials:
        if trial.directory not in at_work:
            _remove_weights(directory / trial.directory, kept)


def _remove_weights(directory: Path, kept: Sequence[Path]) -> None:
    for each in directory.iterdir() if directory.is_dir() else ():
        if any(model.is_relative_to(each) for model in kept):
            continue
        if each.is_dir():
            shutil.rmtree(each)
        elif each.suffix not in RECORDS:
            each.unlink()
