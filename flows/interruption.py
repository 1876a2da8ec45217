"""Runs of a terminal that a person stops, by Ctrl-C or in Prefect, end in order and are filed as cancelled.

Prefect takes Ctrl-C for a crash. And a run that is cancelled on its page is ended by the worker that began it, which a
run of a terminal has none of: it looks itself whether it is to end.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.orchestration import SyncPrefectClient

logger = logging.getLogger(__name__)

CTRL_C = "Interrupted by Ctrl-C"
IN_PREFECT = "Cancelled in Prefect"
LOOK_SECONDS = 2.0
"""How often Prefect is asked whether the run is to end."""


def stoppable(flow: Flow[Any, Any]) -> Callable[..., Any]:
    """Return the flow as a function that a cancellation in Prefect interrupts as Ctrl-C does.

    After either, the run is "Cancelled" in Prefect with all runs below it that had not ended.
    """

    def run(*arguments: Any, **named: Any) -> Any:
        runs: list[UUID] = []
        first = signal.getsignal(signal.SIGINT)
        over, asked = threading.Event(), threading.Event()

        def begun(flow: Any, flow_run: Any, state: Any) -> None:
            runs.append(flow_run.id)
            arguments = (flow_run.id, over, asked, first)
            threading.Thread(target=_watch, args=arguments, name="cancellation", daemon=True).start()

        try:
            return flow.with_options(on_running=[begun])(*arguments, **named)
        except Exception:
            raise
        except BaseException:
            over.set()
            try:
                for each in runs:
                    _file_as_cancelled(each, IN_PREFECT if asked.is_set() else CTRL_C)
            except Exception as error:  # the server may be gone, and the person wants to leave
                logger.warning("could not file the run as cancelled: %s", error)
            raise
        finally:
            over.set()

    return run


def _watch(flow_run: UUID, over: threading.Event, asked: threading.Event, first: Any) -> None:
    """Interrupt this process when the run, or one below it, is to be cancelled.

    Not where it is being interrupted already, and `first` no longer heeds the signal: a second one ends it at once.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectException

    with get_client(sync_client=True) as client:
        while not over.wait(LOOK_SECONDS):
            with suppress(httpx.HTTPError, PrefectException):
                if any(each.state and each.state.is_cancelling() for each in _with_all_below(client, flow_run)):
                    if not over.is_set() and signal.getsignal(signal.SIGINT) is first:
                        asked.set()
                        os.kill(os.getpid(), signal.SIGINT)
                    return


def _with_all_below(client: SyncPrefectClient, flow_run: UUID) -> Iterator[Any]:
    """Yield a flow run and those that it has started in this process; what workers do has a deployment."""
    from prefect.client.schemas.filters import FlowRunFilter

    level = [client.read_flow_run(flow_run)]
    while level:
        yield from level
        below = FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [each.id for each in level]}})
        level = [each for each in client.read_flow_runs(flow_run_filter=below) if each.deployment_id is None]


def _file_as_cancelled(flow_run: UUID, message: str) -> None:
    """Set the run, and what had not ended of the flow and task runs below it, or is called crashed, to Cancelled."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
    from prefect.states import Cancelled

    unfinished = ["PENDING", "RUNNING", "CANCELLING", "CRASHED"]
    of_tasks = TaskRunFilter.model_validate({"state": {"type": {"any_": unfinished}}})
    with get_client(sync_client=True) as client:
        runs = list(_with_all_below(client, flow_run))
        here = FlowRunFilter.model_validate({"id": {"any_": [each.id for each in runs]}})
        for task_run in client.read_task_runs(flow_run_filter=here, task_run_filter=of_tasks):
            client.set_task_run_state(task_run.id, Cancelled(message=message), force=True)
        for each in runs:
            if each.id == flow_run or (each.state and each.state.type.value in unfinished):
                client.set_flow_run_state(each.id, Cancelled(message=message), force=True)


def cancel(run: str) -> str:
    """Ask a flow run to end, or the task run of a trial; return what it is called.

    A ValueError says that Prefect knows no such run, that it has ended, or that it cannot end alone.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Cancelled, Cancelling

    try:
        number = UUID(run)
    except ValueError:
        raise ValueError(f"{run!r} is no id of a run; its page in Prefect shows it, and so does the log") from None
    with get_client(sync_client=True) as client:
        with suppress(ObjectNotFound):
            flow_run = client.read_flow_run(number)
            _require_living(flow_run)
            client.set_flow_run_state(number, Cancelling())
            return flow_run.name
        with suppress(ObjectNotFound):
            task_run = client.read_task_run(number)
            _require_living(task_run)
            if not task_run.name.startswith("trial-"):
                raise ValueError(
                    f"{task_run.name} is no trial, which alone can end by itself; cancel its flow run, "
                    f"{task_run.flow_run_id}"
                )
            client.set_task_run_state(number, Cancelled(), force=True)
            return task_run.name
    raise ValueError(f"Prefect knows no run {run}; give the id of a flow run, or of the task run of a trial")


def _require_living(run: Any) -> None:
    if run.state is not None and run.state.is_final():
        raise ValueError(f"{run.name} has ended: it is {run.state.name}")
