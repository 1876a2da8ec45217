"""A sweep whose trials train on two ranks each: one trial of Optuna, one MLflow run and one end for both."""

from __future__ import annotations

import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import save_labelled, save_llama

from configs.finetuning import FinetuningConfig
from configs.tuning import fixed
from tasks import tracking
from tasks.sweep_result import SweepResult
from tasks.trial import Finetuning
from tasks.tune import sweep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="ranks are found by what /proc tells of them"),
]
RATE = "optimization.learning_rate"


@pytest.fixture
def sweep_of(
    tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[SweepResult, str]]:
    """Return a function that tries some learning rates, one after the other, and returns that and the stage's run."""
    from prefect import flow
    from prefect.task_runners import ThreadPoolTaskRunner

    base, data = save_llama(tmp_path / "base"), save_labelled(tmp_path / "data")

    def run(name: str, rates: list[float], **optimization: Any) -> tuple[SweepResult, str]:
        monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", str(tmp_path / f"{name}.journal"))
        learning_rate = {"low": 1e-9, "high": 1e-2, "log": True}
        optimization |= {"layer_decay": 1.0, "batch_examples": 16, "early_stopping_patience": None}
        warmup = {"warmup_trials": 1, "warmup_evaluations": 0}
        tuning = {"trials": len(rates), "parallel": 1, "metric": "validation/loss", **warmup}
        config = FinetuningConfig(
            dropout=0.1,
            context_length=32,
            compute={"devices": 2, "accelerator": "cpu", "precision": "float32"},
            optimization={"learning_rate": learning_rate, **optimization},
            tuning=tuning,
        )

        @flow(task_runner=ThreadPoolTaskRunner())
        def finetuning() -> tuple[SweepResult, str]:
            with tracking.open_run("finetune", experiment="ranks", key=str(tmp_path / name)) as stage:
                work = Finetuning(config, base, data, experiment="ranks", parent=stage.id)
                result = sweep(
                    config,
                    config.tuning,
                    study_name=name,
                    directory=tmp_path / name,
                    seed=5,
                    submit=work.submit,
                    before=[fixed(config, {RATE: rate}) for rate in rates],
                )
                return result, stage.id

        return finetuning()

    return run


def processes_of_trials(folder: Path) -> dict[Path, set[psutil.Process]]:
    """Return the processes that write into the log of each trial under a folder, by its directory.

    Other tests have trials at the same time.
    """
    found: dict[Path, set[psutil.Process]] = defaultdict(set)
    for each in psutil.process_iter():
        with suppress(OSError):  # it ended meanwhile, or is another user's
            log = Path(os.readlink(f"/proc/{each.pid}/fd/1"))
            if log.match("trial-*/log.txt") and log.is_relative_to(folder):
                found[log.parent].add(each)
    return found


@contextmanager
def beside(look: Callable[[], None]) -> Iterator[None]:
    """Do this again and again while the block lasts."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_ranks_of_a_trial_have_one_set_of_values_and_one_end(sweep_of, tmp_path):
    most: dict[str, int] = {}

    def count() -> None:
        for trial, processes in processes_of_trials(tmp_path).items():
            most[trial.name] = max(most.get(trial.name, 0), len(processes))

    with beside(count):
        result, stage = sweep_of("s", [1e-2, 1e-9], epochs=4)
    assert [each.state for each in result.trials] == ["complete", "pruned"]
    assert [each.values[RATE] for each in result.trials] == [1e-2, 1e-9]
    assert [len(each.steps) for each in result.trials] == [8, 1]
    for row in result.table():
        assert row["device_seconds"] == 2 * row["seconds"]
        assert row["energy_kilowatt_hours"] > 0
    runs, ids = tracking.child_runs(stage), [each.run_id for each in result.trials]
    assert sorted(each["id"] for each in runs) == sorted(ids)
    for trial in result.trials:
        # each figure came once, from one rank
        assert tracking.metric_history(trial.run_id, "validation/loss") == list(trial.steps)
    assert len(most) == 2
    assert min(most.values()) >= 3, "a trial, its fork server, and its rank 1"
    assert not processes_of_trials(tmp_path)


def rank_of(process: psutil.Process) -> int | None:
    """Return which rank a process of a trial is; the fork server is none."""
    if os.getpgid(process.pid) == process.pid:
        return 0
    parent = process.parent()
    return 1 if parent and parent.parent() and os.getpgid(parent.pid) == parent.parent().pid else None


@pytest.mark.parametrize("victim", [0, 1])
def test_a_trial_that_loses_a_rank_goes_on_and_ends_with_the_same_bits(sweep_of, tmp_path, victim):
    killed: list[int] = []

    def kill() -> None:
        for trial, processes in processes_of_trials(tmp_path).items():
            if list(trial.glob("checkpoints/step-*")) and not killed:
                for each in processes:
                    if rank_of(each) == victim:
                        each.kill()
                        killed.append(each.pid)

    whole, _ = sweep_of("whole", [1e-3], epochs=12)
    with beside(kill):
        cut, stage = sweep_of("cut", [1e-3], epochs=12)
    assert len(killed) == 1
    (trial,) = cut.trials
    assert trial.state == "complete"
    assert len(tracking.child_runs(stage)) == 1
    said = (tmp_path / "cut" / trial.directory / "log.txt").read_text()
    assert said.count("parameters are trained") == 2, "it began twice"
    first, second = (
        load_file(tmp_path / name / found.trials[0].directory / "model" / "model.safetensors")
        for name, found in (("whole", whole), ("cut", cut))
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not processes_of_trials(tmp_path)
