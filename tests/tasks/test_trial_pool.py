"""Trials that a worker of a Prefect pool trains, on what might be another machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny_models import save_labelled, save_llama

from configs.pipeline import PipelineConfig
from tasks import tracking
from tasks.home import optuna_storage, tracking_uri

POOL = "laptops"


@pytest.fixture
def client(prefect_server: None) -> Iterator[Any]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def worker(client: Any, tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A worker with a home of its own, which shares the three servers."""
    from prefect.client.schemas.actions import WorkPoolCreate

    client.create_work_pool(WorkPoolCreate(name=POOL, type="process", concurrency_limit=2), overwrite=True)
    shared = {
        "PREFECT_API_URL": str(client.api_url),
        "MLFLOW_TRACKING_URI": tracking_uri(),
        "ROOTSTOCK_OPTUNA_STORAGE": optuna_storage(),
        "ROOTSTOCK_HOME": str(tmp_path / "elsewhere"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
    with (tmp_path / "worker.txt").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | shared, stdout=log, stderr=log)
    try:
        yield process
    finally:
        for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


def settings(folder: Path, seed: int, **tuning: Any) -> PipelineConfig:
    """Return a sweep over examples of their own: what was done before would be reused."""
    save_llama(folder / "base")
    directory = save_labelled(folder / "labelled", num_train=200, num_held_out=60, seed=seed)
    rows = {}
    for split in ("train", "validation", "test"):
        lines = (directory / f"{split}.jsonl").read_text().splitlines()
        rows |= {json.loads(line)["text"]: line for line in lines}
    (folder / "labels.jsonl").write_text("\n".join(rows.values()))
    return PipelineConfig.model_validate(
        {
            "name": "pooled",
            "finetuning": {
                "base": str(folder / "base"),
                "data": {"kind": "jsonl", "path": str(folder / "labels.jsonl")},
                "context_length": 32,
                "dropout": 0.0,
                "optimization": {
                    "learning_rate": {"low": 1e-4, "high": 3e-2, "log": True},
                    "layer_decay": 1.0,
                    "epochs": 2,
                },
                "tuning": {"work_pool": POOL, "pruner": "none", **tuning},
            },
        }
    )


def test_workers_train_the_trials_and_the_models_come_back(client, worker, tmp_path):
    from flows.finetuning import finetuning

    tuned = finetuning(settings(tmp_path, 0, trials=3))
    assert [each.state for each in tuned.sweep.trials] == ["complete"] * 3
    children = {each["id"]: each for each in tracking.child_runs(tuned.model.run_id)}
    for trial in tuned.sweep.trials:
        run = children[trial.run_id]
        flow_run = client.read_flow_run(run["tags"]["prefect.flow_run_id"])
        assert (flow_run.name, flow_run.state.name) == (f"trial-{trial.number}", "Completed")
        assert flow_run.work_pool_name == POOL
        assert run["tags"]["optuna.trial"] == str(trial.number)
        assert run["status"] == "FINISHED"
        assert tracking.client().list_artifacts(trial.run_id, "model") == []
        assert str(tmp_path / "elsewhere") in run["tags"]["rootstock.work_directory"]
    assert tuned.model.exists()
    assert (tuned.model.local() / "model.safetensors").is_file()


def test_a_killed_worker_costs_its_time_and_a_cancelled_trial_itself(client, worker, tmp_path):
    from prefect.states import Cancelling

    from flows.finetuning import finetuning

    done: list[str] = []

    def disturb() -> None:
        while len(done) < 2:
            time.sleep(0.2)
            for each in client.read_flow_runs():
                if each.work_pool_name != POOL or not each.state.is_running() or str(each.id) in done:
                    continue
                if not done and (process := flow_run_process(worker.pid, str(each.id))):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                elif done:
                    client.set_flow_run_state(each.id, Cancelling(), force=True)
                else:
                    continue
                done.append(str(each.id))

    disturbing = threading.Thread(target=disturb, daemon=True)
    disturbing.start()
    tuned = finetuning(settings(tmp_path, 1, trials=3))
    disturbing.join(10)
    states = sorted(each.state for each in tuned.sweep.trials)
    assert states == ["complete"] * 3 + ["failed"]
    (failed,) = [each for each in tuned.sweep.trials if each.state == "failed"]
    assert "was cancelled" in str(failed.error)
    assert not list((tmp_path / "elsewhere" / "trials").glob(f"*/{failed.directory}"))
    assert client.read_flow_run(done[0]).state.is_crashed()


def test_what_workers_do_while_the_sweep_is_dead_is_taken_by_the_next(client, worker, tmp_path):
    from flows.finetuning import finetuning

    config = settings(tmp_path, 4, trials=2)
    (tmp_path / "sweep.json").write_text(config.model_dump_json())
    before = {each.id for each in client.read_flow_runs()}
    sweep = subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(tmp_path / "sweep.json")],
        env=os.environ | {"PREFECT_API_URL": str(client.api_url), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while len(at_work := [each.id for each in client.read_flow_runs() if of_pool(each)]) < 2:
        assert sweep.poll() is None
        time.sleep(0.2)
    for each in [*psutil.Process(sweep.pid).children(recursive=True), psutil.Process(sweep.pid)]:
        each.kill()
    sweep.wait()
    while not client.read_flow_run(at_work[0]).state.is_final():
        time.sleep(0.2)
    tuned = finetuning(config)
    assert [each.state for each in tuned.sweep.trials] == ["complete"] * 2
    flow_runs = [each for each in client.read_flow_runs() if each.work_pool_name == POOL and each.id not in before]
    assert {(each.id, each.state.name) for each in flow_runs} == {(each, "Completed") for each in at_work}
    assert tuned.model.exists()


SWEEP = """
import pathlib, sys
from configs.pipeline import PipelineConfig
from flows.finetuning import finetuning

finetuning(PipelineConfig.model_validate_json(pathlib.Path(sys.argv[1]).read_text()))
"""


def test_the_task_run_of_a_trial_is_cancelled_on_the_worker_too(client, worker, tmp_path):
    from flows.finetuning import finetuning
    from flows.interruption import cancel

    def disturb() -> None:
        while not any(each.work_pool_name == POOL and each.state.is_running() for each in client.read_flow_runs()):
            time.sleep(0.2)
        (following,) = [each for each in client.read_task_runs() if each.state.is_running() and "trial-0" in each.name]
        cancel(str(following.id))

    threading.Thread(target=disturb, daemon=True).start()
    tuned = finetuning(settings(tmp_path, 6, trials=2))
    assert [each.state for each in tuned.sweep.trials] == ["failed", "complete", "complete"]
    assert "was cancelled" in str(tuned.sweep.trials[0].error)


def flow_run_process(worker: int, flow_run: str) -> psutil.Process | None:
    for each in psutil.Process(worker).children(recursive=True):
        try:
            if flow_run in each.environ().get("PREFECT__FLOW_RUN_ID", ""):
                return each
        except psutil.Error:
            continue
    return None


def test_a_pool_that_is_not_there_is_named_with_the_remedy(prefect_server, tmp_path):
    from flows.finetuning import finetuning

    with pytest.raises(ValueError, match=r"no work pool 'laptop'; `prefect work-pool create laptop --type process`"):
        finetuning(settings(tmp_path, 3, trials=1, work_pool="laptop"))


def test_a_worker_that_falls_silent_is_given_up_and_gives_up_when_it_wakes(client, worker, tmp_path, monkeypatch):
    """As a laptop that sleeps while it trains, and keeps the trial's directory until it sees that it was given up."""
    from flows.finetuning import finetuning
    from tasks import trial_pool

    monkeypatch.setattr(trial_pool, "SILENCE_SECONDS", 45.0)
    slept = threading.Event()
    before = {each.id for each in client.read_flow_runs()}

    def sleep() -> None:
        while not (at_work := [each for each in client.read_flow_runs() if of_pool(each) and is_heard_of()]):
            time.sleep(0.2)
        process = flow_run_process(worker.pid, str(at_work[0].id))
        assert process is not None
        processes = [process, *process.children(recursive=True)]
        for each in processes:
            each.suspend()
        while len([each for each in client.read_flow_runs() if each.id not in before and each.work_pool_name]) < 2:
            time.sleep(0.2)  # one that wakes before the trial is begun again may still hand over what it did
        for each in processes:
            each.resume()
        slept.set()

    threading.Thread(target=sleep, daemon=True).start()
    tuned = finetuning(settings(tmp_path, 2, trials=1))
    assert slept.is_set()
    assert [each.state for each in tuned.sweep.trials] == ["complete"]
    flow_runs = [each for each in client.read_flow_runs() if each.id not in before and each.work_pool_name == POOL]
    assert sorted(each.state.name for each in flow_runs) == ["Completed", "Crashed"]


def of_pool(flow_run: Any) -> bool:
    return flow_run.work_pool_name == POOL and flow_run.state.is_running()


def is_heard_of() -> bool:
    """Whether a worker has said that it lives, for a trial that is open."""
    from tasks.study_storage import open_storage

    with open_storage(optuna_storage()) as storage:
        trials = [each for study in storage.get_all_studies() for each in storage.get_all_trials(study._study_id)]
    return any("alive" in each.user_attrs and not each.state.is_finished() for each in trials)
