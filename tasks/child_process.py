"""The child's half of `tasks/processes.py`: runs one function, tells the parent of it, and never outlives the parent.

Every message is one JSON object. Child to parent: `{"report": [step, values]}`, `{"log": ...}`, and at the end
`{"result": ...}` or `{"error": ...}`. Parent to child: `{"stop": true | false}`, the answer to a report.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from lm_modules.progress import NOTICE, Values


@dataclass(frozen=True)
class Job:
    """What a child has to do."""

    function: str
    """`module:qualified_name`."""
    arguments: bytes
    """The keyword arguments, pickled, so that an error in reading them is told like any other."""
    environment: dict[str, str]
    """The parent's environment of now, and what is added to it; the fork server's is the one of its start."""
    reports: bool
    """Whether the function takes `report`."""
    threads: int | None
    """How many threads PyTorch may use; null leaves its choice."""
    log: Path
    """The file that standard output and error are added to."""


def main(connection: Connection, job: Job) -> None:
    """Run the job; the parent learns of its result or error through the connection."""
    os.setpgid(0, 0)  # so that the parent can end what this child starts together with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = Link(connection)
    try:
        _settle(job, link)
        module, _, name = job.function.partition(":")
        function: Any = importlib.import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
        arguments = pickle.loads(job.arguments)
        if job.reports:
            arguments["report"] = link.report
        link.send(result=function(**arguments))
    except BaseException as error:  # an interrupted child has to tell it, too
        link.send(error=_described(error))


def _settle(job: Job, link: Link) -> None:
    """Make this process the parent's in everything that a fork from the server does not copy."""
    os.environ.clear()
    os.environ.update(job.environment)
    job.log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with job.log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger().addHandler(_ToParent(link))
    if job.threads:
        os.environ["OMP_NUM_THREADS"] = str(job.threads)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(job.threads)
    signal.signal(signal.SIGTERM, link.interrupted if job.reports else _exit_in_order)
    # a data worker that this child forks must end when it is told to
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))


def _exit_in_order(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _described(error: BaseException) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
        # a UnicodeError is a ValueError by birth, and never one of ours that tells a user what to do
        "user_mistake": isinstance(error, ValueError) and not isinstance(error, UnicodeError),
    }


class Link:
    """The child's end of the pipe. A thread reads it, so that the end of the parent is seen at any moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._stop = False
        threading.Thread(target=self._watch, name="parent-watch", daemon=True).start()

    def send(self, **message: Any) -> None:
        """Send one JSON object to the parent."""
        content = json.dumps(message).encode()
        with self._sending:
            self._connection.send_bytes(content)

    def report(self, step: int, values: Values) -> bool:
        """Tell the parent what was seen at `step`; true asks to end in order."""
        plain = {name: value if isinstance(value, str) else float(value) for name, value in values.items()}
        self.send(report=[int(step), plain])
        # what was found goes out even after a stop: the checkpoint may lie behind it, and then it is not found again
        return self._stop or self._answers.get() or self._stop

    def interrupted(self, number: int, frame: FrameType | None) -> None:
        """Take SIGTERM: the next report, and the one that is waiting now, says stop."""
        self._stop = True
        self._answers.put(True)

    def _watch(self) -> None:
        try:
            while True:
                self._answers.put(json.loads(self._connection.recv_bytes())["stop"])
        except (EOFError, OSError):
            # The parent is gone: nobody is left to report to or to end this process and its data workers.
            os.killpg(0, signal.SIGKILL)


class _ToParent(logging.Handler):
    """Hands notices, warnings and errors to the parent, whose logging knows where people look."""

    def __init__(self, link: Link) -> None:
        super().__init__(NOTICE)
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        self._link.send(log=[record.name, record.levelno, self.format(record)])
