"""The two web pages and the deployments, on this machine: `rootstock up`, until Ctrl-C.

MLflow's server reads the same database and the same artifact directory as runs without a server do. Experiments keep
the absolute path of that directory, so that what was written one way can be read the other way too.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from configs.loading import load
from flows.services import (
    START_SECONDS,
    ServiceError,
    answers,
    living_servers,
    log_file,
    port_is_free,
    prefect_command,
    prefect_variables,
    recorded,
    running,
    tail,
    wait_until_healthy,
)
from tasks.home import home

logger = logging.getLogger(__name__)

CANCEL_SECONDS = 8.0
"""How long runs that are cancelled by the end of `up` have before they are written off as crashed."""

LAST_DEPLOYMENT = "nightly-finetune"
"""The one that `flows.deployments` registers last."""

SERVE = "import sys; from flows.deployments import serve_all; serve_all(sys.argv[1])"


def up(preset: str, prefect_port: int, mlflow_port: int, say: Callable[[str], None]) -> None:
    """Run the servers, and deployments of a preset or a file, until this is interrupted.

    Raises ServiceError when one of them dies.
    """
    name = load(preset).name  # before servers are started, so that a mistake is told at once
    if servers := living_servers():
        raise ValueError(
            f"this home is up already, as process {servers.pid}: {servers.prefect_url}, {servers.mlflow_url}"
        )
    _refuse_taken_ports({"prefect": prefect_port, "mlflow": mlflow_port})
    prefect_url, mlflow_url = f"http://127.0.0.1:{prefect_port}", f"http://127.0.0.1:{mlflow_port}"
    logs = ", ".join(f"{name}.log" for name in ("prefect", "mlflow", "deployments"))
    say(f"Starting; the words of the servers go to {log_file('prefect').parent}: {logs}")
    with ExitStack() as stack:
        processes = {
            "prefect": stack.enter_context(
                running(prefect_command(prefect_url), "prefect", prefect_variables(prefect_url))
            ),
            "mlflow": stack.enter_context(running(mlflow_command(mlflow_port), "mlflow", MLFLOW_VARIABLES)),
        }
        wait_until_healthy(f"{prefect_url}/api/health", "prefect", processes["prefect"])
        wait_until_healthy(f"{mlflow_url}/health", "mlflow", processes["mlflow"])
        os.environ |= {
            "PREFECT_API_URL": f"{prefect_url}/api",
            "PREFECT_UI_URL": prefect_url,
            "MLFLOW_TRACKING_URI": mlflow_url,
        }
        stack.enter_context(recorded(prefect_url, mlflow_url))
        processes["deployments"] = stack.enter_context(
            running([sys.executable, "-c", SERVE, preset], "deployments", {})
        )
        stack.callback(_end_flow_runs)
        _wait_until_served(processes["deployments"])
        for line in _greeting(prefect_url, mlflow_url, name, _deployment_names()):
            say(line)
        _watch(processes)


MLFLOW_VARIABLES = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Its job execution alone takes eight processes and 1.7 GB."""


def mlflow_command(port: int) -> list[str]:
    """Return the command that serves this home's MLflow store."""
    artifacts = home() / "artifacts"
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{home() / 'mlflow.db'}"),
        *("--default-artifact-root", artifacts.as_uri(), "--artifacts-destination", str(artifacts)),
        *("--uvicorn-opts", "--log-level warning"),
    ]


def _refuse_taken_ports(ports: dict[str, int]) -> None:
    for name, port in ports.items():
        if not port_is_free(port):
            raise ValueError(f"port {port} is taken; choose another for {name} with --{name}-port")


def _wait_until_served(process: subprocess.Popen) -> None:
    """Wait until the last deployment is there; raises ServiceError when it does not come."""
    from prefect.client.orchestration import get_client

    deadline = time.monotonic() + START_SECONDS
    with get_client(sync_client=True) as client:
        # `serve` pauses every deployment at its end and takes them up again, in order, at its start
        while not any(each.name == LAST_DEPLOYMENT and not each.paused for each in client.read_deployments()):
            _refuse_dead({"deployments": process})
            if time.monotonic() > deadline:
                log = log_file("deployments")
                raise ServiceError(
                    f"the deployments did not come in {START_SECONDS:g} s; the end of {log}:\n{tail(log)}"
                )
            time.sleep(0.5)


def _deployment_names() -> list[str]:
    """Return the names of the deployments, as `prefect deployment run` takes them."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        flows = {each.id: each.name for each in client.read_flows()}
        return sorted(f"{flows[each.flow_id]}/{each.name}" for each in client.read_deployments())


def _greeting(prefect_url: str, mlflow_url: str, name: str, deployments: list[str]) -> list[str]:
    """Return what a person needs who wants to look, or to start a run from another terminal."""
    return [
        f"Prefect, to start and watch runs:      {prefect_url}/v2/deployments",
        f"MLflow, to compare runs and models:    {mlflow_url}/#/experiments",
        "For other terminals:",
        f"  export PREFECT_API_URL={prefect_url}/api",
        f"  export MLFLOW_TRACKING_URI={mlflow_url}",
        f"  prefect deployment run 'pipeline/{name}'",
        f"Deployments: {', '.join(deployments)}",
        "Ctrl-C stops all of it.",
    ]


def _watch(processes: dict[str, subprocess.Popen]) -> None:
    while True:
        _refuse_dead(processes)
        time.sleep(0.5)


def _refuse_dead(processes: dict[str, subprocess.Popen]) -> None:
    for name, process in processes.items():
        if process.poll() is not None:
            raise ServiceError(f"{name} ended by itself; the end of {log_file(name)}:\n{tail(log_file(name))}")


def _end_flow_runs() -> None:
    """Cancel the runs of the deployments that are under way; write off as crashed what does not end in time.

    Without this they would be killed with their server and stay "Running" for ever.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import StateType
    from prefect.states import Cancelling, Crashed

    under_way = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    open_runs = FlowRunFilter.model_validate(
        {"state": {"type": {"any_": under_way}}, "deployment_id": {"is_null_": False}}
    )
    if not answers(f"{os.environ['PREFECT_API_URL']}/health"):
        return
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=open_runs):
            client.set_flow_run_state(run.id, Cancelling(message="`rootstock up` was stopped"), force=True)
        deadline = time.monotonic() + CANCEL_SECONDS
        while (left := client.read_flow_runs(flow_run_filter=open_runs)) and time.monotonic() < deadline:
            time.sleep(0.5)
        for run in left:
            client.set_flow_run_state(run.id, Crashed(message="`rootstock up` was stopped"), force=True)
