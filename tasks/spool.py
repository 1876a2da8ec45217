"""Metrics and texts on their way to MLflow: training never waits for the server and never dies of its absence.

    log(step, values) -> metrics.jsonl -> queue -> thread -> MLflow, up to 1000 points at once, and files for texts
                                                          -> metrics.sent, how many bytes of the file have arrived

Both files lie in the run's directory. After a crash the next spool of the same run sends what had not arrived; points
that arrived twice are stored once, because they carry their first time stamp, and a text replaces itself. A resumed
training repeats the steps since its checkpoint: a step that was logged before is skipped, so the curve keeps the first
value.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from lm_modules.progress import TOTAL, Values
from tasks import filing, tracking
from tasks.home import home, run_directory

logger = logging.getLogger(__name__)

POINTS_AT_ONCE = 1000


class MetricSpool:
    """Use as `with MetricSpool(run_id) as spool: spool.log(step, {...})`, in one process at a time for a run."""

    def __init__(self, run_id: str, interval_seconds: float = 1.5):
        directory = run_directory(run_id)
        self._run_id = run_id
        self._interval_seconds = interval_seconds
        self._sent_file = directory / "metrics.sent"
        self._waiting: deque[tuple[int, dict[str, Any]]] = deque()  # (end of the line in the file, its record)
        self._seen: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        path = directory / "metrics.jsonl"
        if path.exists():
            self._recall(path)
        else:
            self._recall_from_server()
        self._file = path.open("ab")
        self._thread = threading.Thread(target=self._work, name=f"metrics-{run_id[:8]}", daemon=True)
        self._thread.start()

    def __enter__(self) -> MetricSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def log(self, step: int, values: Values) -> None:
        """Note the values of a step; returns at once. A value that this run already has for the step is skipped."""
        with self._lock:
            new = {
                key: value if isinstance(value, str) else float(value)
                for key, value in values.items()
                if key != TOTAL and (key, step) not in self._seen
            }
            if not new:
                return
            self._seen |= {(key, step) for key in new}
            record = {"step": step, "milliseconds": time.time_ns() // 1_000_000, "values": new}
            self._file.write(json.dumps(record).encode() + b"\n")
            self._file.flush()  # in the hands of the kernel: survives kill -9 of this process
            self._waiting.append((self._file.tell(), record))

    def close(self, timeout_seconds: float = 60) -> bool:
        """Send what waits, for at most so long; return whether all of it arrived. The rest stays on disk."""
        self._closing.set()
        self._thread.join(timeout_seconds)
        with self._lock:
            self._file.close()
            waiting = len(self._waiting)
        if waiting:
            logger.warning(
                "MLflow did not answer: %d steps of metrics wait in %s and are sent when the run is opened again, "
                "or by the next start of any flow on this machine",
                waiting,
                self._sent_file.parent,
            )
        return not waiting

    def _recall(self, path: Path) -> None:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):  # killed in the middle of a line
            with path.open("r+b") as file:
                file.truncate(len(whole))
        sent, end = _sent_bytes(self._sent_file), 0
        for line in whole.splitlines(keepends=True):
            end += len(line)
            record = json.loads(line)
            self._seen |= {(key, record["step"]) for key in record["values"]}
            if end > sent:
                self._waiting.append((end, record))

    def _recall_from_server(self) -> None:
        """Learn what was logged on another machine."""
        try:
            for name in tracking.run_info(self._run_id)["metrics"]:
                self._seen |= {(name, step) for step, _ in tracking.metric_history(self._run_id, name)}
        except Exception as error:
            logger.warning("could not ask MLflow which metrics run %s has: %s", self._run_id, error)

    def _work(self) -> None:
        warned = False
        while True:
            closing = self._closing.wait(self._interval_seconds)
            try:
                while batch := self._next_batch():
                    self._send(batch)
                    warned = False
            except Exception as error:
                if not warned:
                    logger.warning("metrics wait on this machine until MLflow answers again: %s", error)
                warned = True
                if closing:
                    time.sleep(0.5)
                continue
            if closing:
                return

    def _next_batch(self) -> list[tuple[int, dict[str, Any]]]:
        batch: list[tuple[int, dict[str, Any]]] = []
        num_points = 0
        with self._lock:
            for end, record in self._waiting:
                num_points += len(record["values"])
                if batch and num_points > POINTS_AT_ONCE:
                    break
                batch.append((end, record))
        return batch

    def _send(self, batch: list[tuple[int, dict[str, Any]]]) -> None:
        points = [
            (key, value, record["milliseconds"], record["step"])
            for _, record in batch
            for key, value in record["values"].items()
            if not isinstance(value, str)
        ]
        self._send_or_refuse(filing.log_points, points)
        for _, record in batch:
            for key, value in record["values"].items():
                if isinstance(value, str):
                    self._send_or_refuse(filing.send_text, value, key)
        scratch = self._sent_file.with_suffix(".new")
        scratch.write_text(str(batch[-1][0]))
        scratch.replace(self._sent_file)
        with self._lock:
            for _ in batch:
                self._waiting.popleft()

    def _send_or_refuse(self, send: Callable[..., None], *arguments: Any) -> None:
        """Send; what MLflow refuses for good is told and stays in the file, for sending it again would fail again."""
        try:
            send(self._run_id, *arguments)
        except ValueError as error:
            logger.error("%s", error)


def unsent_runs() -> list[str]:
    """Return the ids of the runs on this machine whose metrics have not all arrived."""
    files = (home() / "runs").glob("*/metrics.jsonl")
    return [each.parent.name for each in files if each.stat().st_size > _sent_bytes(each.with_name("metrics.sent"))]


def _sent_bytes(file: Path) -> int:
    return int(file.read_text()) if file.exists() else 0
