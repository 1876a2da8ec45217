"""Runs a function in a process of its own, and stays its master.

Training runs here: its memory returns when it ends, its death is an exception and not the end of the flow, and the
flow's process stays free to hear Ctrl-C. The children are forked from a server that has the heavy libraries imported
(`tasks/preload.py`), and speak to the parent over a pipe (`tasks/child_process.py`).

    parent --run_isolated--> fork server --fork--> child
       \\---- pipe: reports and log lines up, "stop" down; its end tells the other side's death ----/
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from multiprocessing import connection as pipes
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from lm_modules.hardware.memory import TooLarge
from lm_modules.progress import Report
from tasks.child_process import Job, main
from tasks.home import home

logger = logging.getLogger(__name__)

_context = multiprocessing.get_context("forkserver")
_starting = threading.Lock()
_called_off: ContextVar[threading.Event | None] = ContextVar("called_off", default=None)

PRELOADED = ["tasks.preload"]
"""What the fork server imports before it forks."""
POLL_SECONDS = 0.2
"""How often a waiting parent looks whether it was cancelled."""
EXIT_SECONDS = 10.0
"""How long a child that has told its result may take to go."""


class ChildFailed(RuntimeError):  # noqa: N818 (says what happened)
    """The function raised an exception that is no user's mistake; `traceback_text` is the child's."""

    def __init__(self, name: str, error: dict[str, Any]) -> None:
        self.type_name: str = error["type"]
        self.traceback_text: str = error["traceback"]
        super().__init__(f"{name} failed with {self.type_name}: {error['message']}")


class ChildDied(RuntimeError):  # noqa: N818 (says what happened)
    """The process ended without a word: `exit_code` as the shell counts it below zero for a signal."""

    def __init__(self, name: str, exit_code: int | None) -> None:
        self.exit_code = exit_code
        if exit_code is not None and exit_code < 0:
            how = f"was ended by {signal.Signals(-exit_code).name}"
            how += "; if the machine ran out of memory, use smaller batches" if exit_code == -signal.SIGKILL else ""
        else:
            how = f"ended with exit code {exit_code} before it had a result"
        super().__init__(f"the process of {name} {how}")


class Cancelled(BaseException):
    """The work was called off from outside. No `Exception`: nothing may take it for a failure and try again."""


def num_cores() -> int:
    """Return how many cores this process may use; a container or `taskset` may allow fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def warm_up() -> None:
    """Start the fork server now, in the background, so that the first child need not wait for its imports."""
    from multiprocessing import forkserver

    with _starting:
        _context.set_forkserver_preload(PRELOADED)
        with _main_hidden():
            forkserver.ensure_running()


@contextmanager
def children_end_together() -> Iterator[None]:
    """End the children that other threads wait for when this block is interrupted, or fails.

    Ctrl-C and a cancellation reach the main thread alone. Prefect's threads, which hold a copy of this context, would
    wait for their children to come to an end by themselves.
    """
    called_off = threading.Event()
    before = _called_off.set(called_off)
    try:
        yield
    except BaseException:
        called_off.set()
        raise
    finally:
        _called_off.reset(before)


def run_isolated(
    function: Callable[..., Any] | str,
    arguments: dict[str, Any],
    *,
    name: str,
    report: Report | None = None,
    grace_seconds: float = 20.0,
    threads: int | None = None,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    cancelled: threading.Event | None = None,
) -> Any:
    """Return what `function(**arguments)` returns (anything JSON can hold) in a process of its own.

    Args:
        function: Anything that can be imported by its name, or that name (`module:function`), which spares this process
            the import.
        arguments: Its keyword arguments; they are pickled.
        name: What the work is called in errors.
        report: Called here with each report of the function, which gets a `report` argument for it; its answer true
            asks the function to end in order.
        grace_seconds: How long a child that has to end may take to save its work before it is killed.
        threads: Threads of PyTorch in the child; null leaves its choice.
        environment: Variables that the child has besides those of this process.
        log: File to which all output of the child is added, `<home>/logs/children.log` by default: the screen is not
            theirs. Notices, warnings and errors also come to this process's logging.
        cancelled: When it is set, the child is ended and `Cancelled` raised; for callers in a thread, which no signal
            can reach. By default the end of the block `children_end_together` around the caller.

    Raises:
        ValueError: The function refused its input; the message is its own.
        ChildFailed: It raised another exception.
        ChildDied: Its process was killed.
        Cancelled: See above. Any exception in the waiting caller (Ctrl-C, say) ends the child in the same way.
    """
    cancelled = cancelled or _called_off.get()
    if cancelled and cancelled.is_set():
        raise Cancelled(name)
    job = Job(
        function=function if isinstance(function, str) else f"{function.__module__}:{function.__qualname__}",
        arguments=pickle.dumps(arguments),
        environment={**os.environ, **(environment or {})},
        reports=report is not None,
        threads=threads,
        log=log or home() / "logs" / "children.log",
    )
    process, connection = _start(job, name)
    try:
        outcome = _listen(process, connection, report, cancelled, name)
        process.join(EXIT_SECONDS)
    except BaseException:
        _end_in_order(process, connection, report, grace_seconds)
        raise
    finally:
        _kill(process)
        connection.close()
    return _unwrapped(outcome, process, name)


def _start(job: Job, name: str) -> tuple[BaseProcess, pipes.Connection]:
    warm_up()
    ours, theirs = _context.Pipe()
    process = _context.Process(target=main, args=(theirs, job), name=name)
    try:
        with _starting, _main_hidden():
            process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Hide where `__main__` comes from; a child would otherwise import it again (Prefect's engine: three seconds)."""
    module = sys.modules["__main__"]
    spec, file = getattr(module, "__spec__", None), module.__dict__.pop("__file__", None)
    module.__spec__ = None
    try:
        yield
    finally:
        module.__spec__ = spec
        if file is not None:
            module.__file__ = file


def _listen(
    process: BaseProcess,
    connection: pipes.Connection,
    report: Report | None,
    cancelled: threading.Event | None,
    name: str,
) -> dict[str, Any] | None:
    """Answer the child's messages until it has told its outcome; null when it died without one."""
    while True:
        # The short wait lets exceptions in that were sent to this thread, and the event be seen.
        ready = pipes.wait([connection, process.sentinel], POLL_SECONDS)
        if cancelled and cancelled.is_set():
            raise Cancelled(name)
        message = _received(connection)
        if message is None:
            if ready and process.sentinel in ready:
                return None
        elif "report" in message:
            assert report is not None
            _answer(connection, bool(report(*message["report"])))
        elif "log" in message:
            _log(*message["log"])
        else:
            return message


def _received(connection: pipes.Connection) -> dict[str, Any] | None:
    """Return the next message if one is there, or null; a pipe whose other end is gone has none."""
    try:
        return json.loads(connection.recv_bytes()) if connection.poll() else None
    except (EOFError, OSError):
        return None


def _answer(connection: pipes.Connection, stop: bool) -> None:
    with suppress(OSError):  # it died meanwhile, which the next wait sees
        connection.send_bytes(json.dumps({"stop": stop}).encode())


def _log(name: str, level: int, text: str) -> None:
    logging.getLogger(name).log(level, "%s", text)


def _end_in_order(
    process: BaseProcess, connection: pipes.Connection, report: Report | None, grace_seconds: float
) -> None:
    """Ask the child to save and end, and hear it out meanwhile (a child that cannot send cannot end)."""
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline and process.is_alive():
        pipes.wait([connection, process.sentinel], POLL_SECONDS)
        _hear_out(connection, report, deadline)
    if not process.is_alive():  # what it said last may still lie in the pipe
        _hear_out(connection, report, math.inf)


def _hear_out(connection: pipes.Connection, report: Report | None, deadline: float) -> None:
    """Take all that has been said; the answer to every report is to stop."""
    while time.monotonic() < deadline and (message := _received(connection)):
        if "report" in message:
            _answer(connection, True)
            _pass_on(report, *message["report"])
        elif "log" in message:
            _log(*message["log"])


def _pass_on(report: Report | None, step: int, values: Any) -> None:
    assert report is not None
    try:
        report(step, values)
    except Exception as error:  # the child is being ended for another reason, which is the one to tell
        logger.warning("what was found at step %d is not filed: %s", step, error)


def _kill(process: BaseProcess) -> None:
    """End the child, if it lives, and whatever it has started, for good."""
    assert process.pid is not None
    for kill in (os.killpg, os.kill) if process.is_alive() else (os.killpg,):
        with suppress(ProcessLookupError, PermissionError):
            kill(process.pid, signal.SIGKILL)
    process.join()


def _unwrapped(outcome: dict[str, Any] | None, process: BaseProcess, name: str) -> Any:
    if outcome is None:
        raise ChildDied(name, process.exitcode)
    if "error" not in outcome:
        return outcome["result"]
    error = outcome["error"]
    failure = ChildFailed(name, error)
    if error["user_mistake"]:
        # values that a search tries may be too large for this machine; all other mistakes are the same for every trial
        mistake = TooLarge if failure.type_name == TooLarge.__name__ else ValueError
        raise mistake(error["message"]) from failure
    raise failure
