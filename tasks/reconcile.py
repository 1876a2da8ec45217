"""Close what dead processes of this machine left open, before new work begins.

- MLflow runs that are RUNNING without a living owner become FAILED, tagged `rootstock.interrupted`. The same work,
  started again, continues in them.
- Metrics that wait on this disk are sent.
- Prefect flow runs that such an MLflow run names and that are still Running become Crashed, with their task runs: a
  machine that lost its power cannot tell Prefect, and Prefect then waits for ever.
"""

from __future__ import annotations

import logging
import os
from typing import Any
from uuid import UUID

from tasks import ownership, tracking
from tasks.spool import MetricSpool, unsent_runs

logger = logging.getLogger(__name__)

FLOW_RUN_TAGS = ("prefect.flow_run_id", "prefect.root_flow_run_id")


def reconcile() -> dict[str, int]:
    """Return how many runs were closed, how many had metrics to send, and how many flow runs were ended."""
    running = tracking.search_runs("attributes.status = 'RUNNING'")
    dead = [run for run in running if tracking.KEY in run["tags"] and not ownership.may_live(run["tags"])]
    counts = {
        "runs_closed": sum(_close(run) for run in dead),
        "runs_with_metrics_sent": sum(_send_metrics(run_id) for run_id in unsent_runs()),
        "flow_runs_crashed": _crash_flow_runs(dead),
    }
    if any(counts.values()):
        logger.info("closed what dead processes had left open: %s", counts)
    return counts


def _close(run: dict[str, Any]) -> bool:
    with tracking.claim_lock(run["tags"][tracking.KEY]):
        now = tracking.run_info(run["id"])
        if now["status"] != "RUNNING" or ownership.may_live(now["tags"]):
            return False  # another process has taken it up meanwhile
        tracking.finish(run["id"], "FAILED", {tracking.INTERRUPTED: "true", tracking.ERROR: "its process ended"})
    return True


def _send_metrics(run_id: str) -> bool:
    """Send the waiting metrics of a run that nobody works on; a run of another MLflow store is left alone."""
    run = tracking.find_run(run_id)
    if run is None or (run["status"] == "RUNNING" and ownership.may_live(run["tags"])):
        return False
    return MetricSpool(run_id).close(timeout_seconds=10)


def _crash_flow_runs(dead: list[dict[str, Any]]) -> int:
    """End the Prefect flow runs whose process is dead; Prefect out of reach is no reason to stop the caller."""
    owners: dict[str, float] = {}  # flow run id -> when the last of its dead processes opened an MLflow run
    for run in dead:
        for tag in FLOW_RUN_TAGS:
            if ownership.is_here(run["tags"]) and (flow_run_id := run["tags"].get(tag)):
                opened = float(run["tags"].get(tracking.OPENED, run["start"]))
                owners[flow_run_id] = max(opened, owners.get(flow_run_id, 0.0))
    if not owners or not os.environ.get("PREFECT_API_URL"):
        return 0
    try:
        return sum(_crash(flow_run_id, opened) for flow_run_id, opened in owners.items())
    except Exception as error:
        logger.warning("could not ask Prefect about the flow runs of dead processes: %s", error)
        return 0


def _crash(flow_run_id: str, opened: float) -> bool:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(UUID(flow_run_id)).state
        except ObjectNotFound:
            return False
        # A retry of the same flow run became Running after the dead process had opened its MLflow run: it lives.
        if state is None or not state.is_running() or state.timestamp.timestamp() > opened:
            return False
        crashed: Any = Crashed(message="its process ended without a word")
        client.set_flow_run_state(UUID(flow_run_id), crashed, force=True)
        within = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(flow_run_id)]))
        for each in client.read_task_runs(flow_run_filter=within):
            if each.state is not None and not each.state.is_final():
                client.set_task_run_state(each.id, crashed, force=True)
    return True
