from __future__ import annotations

import os
import subprocess
import sys
from uuid import UUID

import pytest

from tasks import ownership, tracking
from tasks.reconcile import reconcile
from tasks.spool import MetricSpool, unsent_runs

DIES = """
import json, os, sys
from tasks import tracking
from tasks.spool import MetricSpool
tags = json.loads(sys.argv[2])
with tracking.open_run("training", experiment="reconcile", key=sys.argv[1], tags=tags) as run:
    spool = MetricSpool(run.id, interval_seconds=3600)
    for step in range(10):
        spool.log(step, {"loss": 1.0})
    print(run.id, flush=True)
    os.kill(os.getpid(), 9)
"""


def _killed(key: str, tags: str = "{}") -> str:
    done = subprocess.run([sys.executable, "-c", DIES, key, tags], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    return done.stdout.strip()


def test_a_killed_run_is_closed_its_metrics_sent_and_the_living_left_alone() -> None:
    dead = _killed("dies")
    assert tracking.run_info(dead)["status"] == "RUNNING"
    assert unsent_runs() == [dead]
    with tracking.open_run("alive", experiment="reconcile", key="alive") as alive:
        counts = reconcile()
        assert tracking.run_info(alive.id)["status"] == "RUNNING"
    assert counts == {"runs_closed": 1, "runs_with_metrics_sent": 1, "flow_runs_crashed": 0}
    info = tracking.run_info(dead)
    assert info["status"] == "FAILED"
    assert info["tags"]["rootstock.interrupted"] == "true"
    assert tracking.metric_history(dead, "loss") == [(step, 1.0) for step in range(10)]
    assert not any(reconcile().values())
    with tracking.open_run("training", experiment="reconcile", key="dies") as again:
        assert again.id == dead
        assert "rootstock.interrupted" not in tracking.run_info(dead)["tags"]


def test_runs_of_other_machines_and_of_other_programs_are_left_alone() -> None:
    experiment = tracking.ensure_experiment("reconcile")
    elsewhere = {**ownership.owner_tags(), ownership.HOST: "another-machine", ownership.PID: "1", tracking.KEY: "x"}
    others = [tracking.client().create_run(experiment, tags=tags).info.run_id for tags in (elsewhere, {})]
    assert reconcile()["runs_closed"] == 0
    assert [tracking.run_info(each)["status"] for each in others] == ["RUNNING", "RUNNING"]


def test_a_process_number_that_was_given_again_is_not_the_owner() -> None:
    mine = ownership.owner_tags()
    assert ownership.may_live(mine)
    earlier = {**mine, ownership.PROCESS_STARTED: str(float(mine[ownership.PROCESS_STARTED]) - 3600)}
    assert not ownership.may_live(earlier)


def test_metrics_of_a_run_in_another_store_stay_on_disk(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = _killed("elsewhere")
    here = tracking.tracking_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    assert reconcile()["runs_with_metrics_sent"] == 0
    assert dead in unsent_runs()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", here)
    reconcile()
    assert dead not in unsent_runs()
    assert MetricSpool(dead).close()


@pytest.mark.slow
def test_the_flow_run_of_a_dead_process_becomes_crashed(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect import flow, task
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL
    from prefect.states import Completed, Running

    @flow
    def training() -> None: ...

    @task
    def trial() -> None: ...

    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    with get_client(sync_client=True) as client:
        lost, retried = (client.create_flow_run(training).id for _ in range(2))
        for each in (lost, retried):
            client.set_flow_run_state(each, Running())
        at_work, done = (
            client.create_task_run(trial, lost, dynamic_key=str(number), state=state).id
            for number, state in enumerate((Running(), Completed()))
        )
        _killed("lost", f'{{"prefect.flow_run_id": "{lost}", "prefect.root_flow_run_id": "{UUID(int=0)}"}}')
        _killed("retried", f'{{"prefect.flow_run_id": "{retried}"}}')
        client.set_flow_run_state(retried, Running(), force=True)  # a later attempt, which lives
        assert os.environ["PREFECT_API_URL"]
        assert reconcile()["flow_runs_crashed"] == 1
        assert client.read_flow_run(lost).state_name == "Crashed"
        assert client.read_flow_run(retried).state_name == "Running"
        assert [client.read_task_run(each).state_name for each in (at_work, done)] == ["Crashed", "Completed"]
