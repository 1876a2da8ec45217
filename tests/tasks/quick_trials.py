"""Trials that tests of the sweep run, and a sweep that a test kills."""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from configs.base import Config
from configs.tuning import Choice, Range, TuningConfig
from tasks.study import Trial
from tasks.sweep_result import SweepResult
from tasks.tune import sweep


class Inner(Config):
    rate: float | Range = Range(low=1e-4, high=1.0, log=True)


class Settings(Config):
    inner: Inner = Inner()
    depth: int | Range = Range(low=1, high=7, step=4, integer=True)
    style: str | dict[str, Any] | Choice = Choice(choices=("plain", {"kind": "lora", "rank": 4}))


class Closed(Config):
    rate: float = 0.5


def climb(trial: Trial, num_steps: int = 5, seconds: float = 0.0) -> dict[str, Any]:
    """Report the rate times the step, from the step after the last checkpoint on, and file a model."""
    checkpoint = trial.directory / "state.safetensors"
    trial.directory.mkdir(parents=True, exist_ok=True)
    first = json.loads(checkpoint.read_text()) + 1 if checkpoint.exists() else 1
    rate = trial.values.get("inner.rate", 0.5)
    for step in range(first, num_steps + 1):
        time.sleep(seconds)
        checkpoint.write_text(json.dumps(step))
        if trial.report(step, {"score": rate * step, "loss": rate / step}):
            return {"stopped": True, "first_step": first}
    model = trial.directory / "model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text("{}")
    (trial.directory / "log.txt").write_text("done")
    return {"stopped": False, "first_step": first, "model": str(model)}


class Tasks:
    """Runs trials as Prefect's tasks would, in threads."""

    def __init__(self, work: Any = climb) -> None:
        self.work = work
        self.pool = ThreadPoolExecutor()

    def submit(self, trial: Trial) -> Any:
        return self.pool.submit(self._run, trial)

    def _run(self, trial: Trial) -> Any:
        trial.begin()
        try:
            trial.result = self.work(trial)
        except Exception as error:
            trial.error = error
            raise
        return trial.result


def search(
    directory: Path, name: str = "study", work: Any = climb, config: Config | None = None, seed: int = 0, **tuning: Any
) -> SweepResult:
    """Sweep with quick trials."""
    settings = TuningConfig(**{"metric": "score", "trials": 6, "parallel": 2, "pruner": "none", **tuning})
    submit = Tasks(work).submit
    return sweep(config or Settings(), settings, study_name=name, directory=directory / name, seed=seed, submit=submit)


if __name__ == "__main__":
    search(Path(sys.argv[1]), "killed", lambda trial: climb(trial, num_steps=40, seconds=0.05), seed=1, trials=4)
    print("finished", os.getpid())
