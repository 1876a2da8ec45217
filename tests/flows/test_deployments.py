"""Deployments on a real server."""

from __future__ import annotations

import sys
import time

import pytest

from flows import services, up


def test_a_night_that_was_switched_on_stays_on_when_it_is_served_again(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client

    from flows.deployments import nightly

    with get_client(sync_client=True) as client:
        for expected in (False, True):
            night = client.read_deployment(nightly().apply())
            (schedule,) = night.schedules
            assert schedule.active is expected
            client.update_deployment_schedule(night.id, schedule.id, active=True)
            client.pause_deployment(night.id)  # what the end of `rootstock up` does


def test_two_nights_never_overlap(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client
    from prefect.states import Pending

    from flows.deployments import nightly

    with get_client(sync_client=True) as client:
        night = nightly().apply()
        one, other = (client.create_flow_run_from_deployment(night).id for _ in range(2))
        assert client.set_flow_run_state(one, Pending()).state.is_pending()
        client.set_flow_run_state(other, Pending())
        assert client.read_flow_run(other).state.name == "Cancelled"
        assert client.read_flow_run(one).state.is_pending()


def test_a_run_may_say_only_what_differs_from_a_preset(prefect_server: None) -> None:
    """`prefect deployment run 'pipeline/demo' --param 'config=...'` of the how-to, up to the flow."""
    from prefect.deployments import run_deployment

    from configs.loading import load
    from flows.deployments import deployments
    from flows.pipeline import pipeline

    next(each for each in deployments() if (each.flow_name, each.name) == ("pipeline", "demo")).apply()
    changes = {"extends": "demo", "name": "drier", "finetuning": {"dropout": 0.2}}
    run = run_deployment("pipeline/demo", parameters={"config": changes}, timeout=0)
    config = pipeline.validate_parameters(run.parameters)["config"]
    assert config == load("demo", ["name=drier", "finetuning.dropout=0.2"])


def test_deployments_that_do_not_come_are_told_with_the_end_of_their_log(
    prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "START_SECONDS", 0.0)
    monkeypatch.setattr(up, "LAST_DEPLOYMENT", "one that never comes")
    command = [sys.executable, "-c", "import time; print('hanging', flush=True); time.sleep(60)"]
    with services.running(command, "deployments", {}) as process:
        while "hanging" not in services.log_file("deployments").read_text():
            assert process.poll() is None
            time.sleep(0.05)
        with pytest.raises(services.ServiceError, match=r"did not come in 0 s(.|\n)*hanging"):
            up._wait_until_served(process)
