"""A run that a person stopped is filed as cancelled: Prefect takes Ctrl-C for a crash."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from prefect import Flow

logger = logging.getLogger(__name__)

MESSAGE = "Interrupted by Ctrl-C"


def cancelled_by_ctrl_c(flow: Flow[Any, Any]) -> Callable[..., Any]:
    """Return the flow as a function after whose interruption the run and its children are "Cancelled" in Prefect."""

    def run(*arguments: Any, **named: Any) -> Any:
        crashed: list[UUID] = []
        try:
            return flow.with_options(on_crashed=[lambda _flow, run, _state: crashed.append(run.id)])(
                *arguments, **named
            )
        except Exception:
            raise
        except BaseException:
            try:
                _cancel(crashed)
            except Exception as error:  # the server may be gone, and the person wants to leave
                logger.warning("could not file the run as cancelled: %s", error)
            raise

    return run


def _cancel(flow_runs: list[UUID]) -> None:
    """Set these runs and all crashed runs below them to Cancelled."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.states import Cancelled

    with get_client(sync_client=True) as client:
        while flow_runs:
            for each in flow_runs:
                client.set_flow_run_state(each, Cancelled(message=MESSAGE), force=True)
            below = {"parent_flow_run_id": {"any_": flow_runs}, "state": {"type": {"any_": ["CRASHED"]}}}
            flow_runs = [each.id for each in client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(below))]
