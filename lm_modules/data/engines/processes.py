"""Processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Literal

from pydantic import Field

from lm_modules.data.engines import Engine


class Processes(Engine):
    """As many processes as there are cores, or as are wanted; for one part, or one process, none is started."""

    kind: Literal["processes"] = "processes"
    count: int | None = Field(default=None, ge=1)
    """Number of processes; null takes a process for every core."""

    @contextmanager
    def executor(self, most: int) -> Iterator[Executor | None]:
        """Start the processes, and end them with this one."""
        count = min(self.count or len(os.sched_getaffinity(0)), most)
        if count < 2:
            yield None
            return
        pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Watch the parent: a pool's process waits for work for ever, also from a parent that was killed."""
    threading.Thread(target=_follow_parent, name="parent-watch", daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
