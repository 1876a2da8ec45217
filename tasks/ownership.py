"""Who works on a run: tags that tell, on the same machine, whether the process that opened it still lives."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import psutil

from tasks.home import home_id

HOST = "rootstock.host"
PID = "rootstock.pid"
PROCESS_STARTED = "rootstock.process_started"
HOME = "rootstock.home"
FLOW_RUN = "prefect_flow_run_id"
"""The Prefect flow run in which a worker does a trial."""

CLOCK_ERROR_SECONDS = 2.0
"""Start times are counted from the boot, whose own time moves when the clock is set."""


def owner_tags() -> dict[str, str]:
    """Return the tags of this process. The start time tells it from a later process with the same number."""
    started = psutil.Process().create_time()
    process = {PID: str(os.getpid()), PROCESS_STARTED: f"{started:.2f}"}
    return {HOST: socket.gethostname(), HOME: home_id(), **process}


def is_here(tags: Mapping[str, str]) -> bool:
    """Tell whether the owner ran on this machine."""
    return tags.get(HOST) == socket.gethostname()


def may_live(tags: Mapping[str, str]) -> bool:
    """Tell whether the owner lives. An owner on another machine cannot be seen from here and counts as living."""
    if HOST not in tags or not is_here(tags):
        return HOST in tags
    try:
        process = psutil.Process(int(tags[PID]))
        same = abs(process.create_time() - float(tags[PROCESS_STARTED])) < CLOCK_ERROR_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
