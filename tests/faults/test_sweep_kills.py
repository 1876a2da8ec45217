"""A sweep whose trials and whose own process are killed: nothing is lost, nothing is done twice, nothing stays open."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import yaml
from tiny_models import WORDS, save_labelled, save_llama

from lm_modules.training.finetuning_evaluations import evaluation_steps
from tasks import logged_models, tracking
from tasks.artifacts import Finetuned
from tasks.digests import digest_directory

TRIALS, EPOCHS = 12, 6


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model, texts with labels, and a sweep over them."""
    save_llama(tmp_path / "base")
    rows = []
    for number, split in enumerate(("train", "validation", "test")):
        directory = save_labelled(tmp_path / f"labelled {number}", num_train=300, num_held_out=60, seed=number)
        rows += (directory / f"{split}.jsonl").read_text().splitlines()
    texts = {json.loads(row)["text"]: row for row in rows}
    (tmp_path / "labels.jsonl").write_text("\n".join(texts.values()))
    settings = {
        "name": "sweep",
        "finetuning": {
            "base": str(tmp_path / "base"),
            "data": {"kind": "jsonl", "path": str(tmp_path / "labels.jsonl")},
            "context_length": 32,
            "adapter": "full",
            "compute": {"checkpoint_every_minutes": 0.01},
            "dropout": {"low": 0.0, "high": 0.5},
            "optimization": {
                "learning_rate": {"low": 1e-4, "high": 3e-2, "log": True},
                "layer_decay": 1.0,
                "epochs": EPOCHS,
                "batch_examples": 4,
                "early_stopping_patience": None,
            },
            "tuning": {"trials": TRIALS, "parallel": 2, "pruner": "median", "warmup_trials": 2, "random_trials": 12},
        },
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path / "home"))
    return tmp_path


def start(folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "flows.cli", "finetune", str(folder / "sweep.yaml")]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def trials_at_work(process: subprocess.Popen) -> Iterator[int]:
    """Yield the processes below this one that train a trial; each writes into the log of its trial."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if Path(os.readlink(f"/proc/{child.pid}/fd/1")).match("trial-*/log.txt"):
                yield child.pid
        except OSError:
            continue  # it ended meanwhile


def kill_a_trial(process: subprocess.Popen, draw: random.Random) -> None:
    """Kill a trial that has written a checkpoint or not, as it happens."""
    deadline = time.monotonic() + 120
    time.sleep(draw.uniform(0.5, 4.0))
    while time.monotonic() < deadline:
        if found := sorted(trials_at_work(process)):
            os.kill(draw.choice(found), signal.SIGKILL)
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError("no trial began within two minutes")


def kill_all(process: subprocess.Popen) -> None:
    """Kill the sweep with all that it has started, the Prefect server among it."""
    below = psutil.Process(process.pid).children(recursive=True)
    for each in [process, *below]:
        try:
            os.kill(each.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()
    psutil.wait_procs(below, timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="trials are found by what /proc tells of them")
def test_three_kills_of_trials_and_one_of_the_sweep_lose_nothing(folder):
    draw = random.Random(5)
    process = start(folder)
    for _ in range(3):
        kill_a_trial(process, draw)
    time.sleep(draw.uniform(1.0, 3.0))
    assert process.poll() is None, "the sweep ended before it was to be killed"
    kill_all(process)
    again = start(folder)
    said, _ = again.communicate(timeout=600)
    assert again.returncode == 0, said

    (stage,) = [each for each in tracking.search_runs("", "sweep") if each["tags"].get("rootstock.stage") == "finetune"]
    assert stage["status"] == "FINISHED"
    found = Finetuned.model_validate_json(_filed(stage["id"], "result.json"))
    states = [each.state for each in found.sweep.trials]
    assert states.count("complete") + states.count("pruned") == TRIALS
    assert set(states) <= {"complete", "pruned", "failed", "continued"}
    assert "pruned" in states
    assert all(each.error for each in found.sweep.trials if each.state == "failed")

    # of the trials that were continued, each work has one end, and one run in MLflow
    ends = [each.first for each in found.sweep.trials if each.state != "continued"]
    assert len(ends) == len(set(ends))
    runs = {each["id"]: each for each in tracking.child_runs(stage["id"])}
    assert {each.run_id for each in found.sweep.trials if each.run_id} == set(runs)
    assert len(runs) == len({each.first for each in found.sweep.trials if each.run_id})
    assert {each["status"] for each in runs.values()} <= {"FINISHED", "FAILED"}
    assert not [each for each in tracking.search_runs("", "sweep") if each["status"] == "RUNNING"]

    with closing(sqlite3.connect(folder / "home" / "prefect" / "prefect.db")) as database:
        shown = database.execute("SELECT state_type FROM flow_run UNION SELECT state_type FROM task_run").fetchall()
    assert {state for (state,) in shown} <= {"COMPLETED", "FAILED", "CRASHED"}

    # each evaluation of a trial was told once, also of one that went on between two of them
    for each in found.sweep.trials:
        if each.state == "complete":
            steps = each.result["steps"]
            due = sorted(evaluation_steps(steps, steps // EPOCHS, 2))
            history = tracking.metric_history(each.run_id, found.sweep.metric)
            assert [step for step, _ in history] == [step for step, _ in each.steps] == due

    best = found.sweep.best
    assert best is not None
    saved = next((folder / "home").glob(f"**/{best.directory}/model"))
    assert digest_directory(saved) == found.model.digest
    assert digest_directory(logged_models.fetch_model(found.model.uri)) == found.model.digest
    assert sorted(json.loads((saved / "config.json").read_text())["label2id"]) == sorted(WORDS)


def _filed(run_id: str, file: str) -> str:
    from tasks import filing

    text = filing.read_text(run_id, file)
    assert text is not None
    return text
