"""What a sweep found: every trial, the best one, and how much each hyperparameter mattered. Plain data, as JSON."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

RECORDS = (".json", ".jsonl", ".txt")
"""Files of a trial that stay when its weights go."""


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
    run_id: str | None
    """Its MLflow run."""
    task_run_id: str | None
    """Its Prefect task run."""
    retry_of: int | None
    first: int
    """The number under which this work began."""
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
    def best(self) -> TrialRecord | None:
        """Return the best trial whose model is there; the earlier of equals."""
        return self._best_of([each for each in self.trials if each.usable()])

    @property
    def winner(self) -> TrialRecord | None:
        """Return the best trial, whether or not its model is still there."""
        return self._best_of([each for each in self.trials if each.state == "complete"])

    def _best_of(self, trials: list[TrialRecord]) -> TrialRecord | None:
        sign = 1 if self.direction == "maximize" else -1
        return max(trials, key=lambda each: (sign * (each.value or 0.0), -each.number), default=None)

    def table(self) -> list[dict[str, Any]]:
        """Return one row a trial, for MLflow's tables and the report."""
        return [
            {
                "trial": each.number,
                "state": each.state,
                self.metric: each.value,
                **each.values,
                "seconds": each.seconds,
                "last_step": each.steps[-1][0] if each.steps else None,
                "run_id": each.run_id,
                "task_run_id": each.task_run_id,
                "error": each.error,
            }
            for each in self.trials
        ]


def tidy(result: SweepResult, directory: Path) -> None:
    """Remove the weights of all finished trials of a sweep but the best one's model; their records stay."""
    best = result.best
    kept = directory / best.model if best and best.model else None
    at_work = {each.directory for each in result.trials if each.state in ("running", "waiting")}
    for trial in result.trials:
        if trial.directory not in at_work:
            _remove_weights(directory / trial.directory, kept)


def _remove_weights(directory: Path, kept: Path | None) -> None:
    for each in directory.iterdir() if directory.is_dir() else ():
        if kept is not None and kept.is_relative_to(each):
            continue
        if each.is_dir():
            shutil.rmtree(each)
        elif each.suffix not in RECORDS:
            each.unlink()
