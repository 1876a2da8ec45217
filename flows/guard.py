"""Runs a command that must not outlive the process that wants it: `python flows/guard.py COMMAND ...`.

A server is started through this. When whoever started the guard dies, by kill -9 too, or the guard is asked to stop,
the command and all its descendants are ended: first with SIGTERM, then, if they stay, with SIGKILL.
The command leads a process group of its own, so Ctrl-C in the terminal does not reach it before the work has ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

POLL_SECONDS = 0.25
PATIENCE_SECONDS = 6.0


def guard(command: list[str]) -> int:
    """Run the command until it ends, the guard is told to stop, or the guard's parent is gone; return its exit code."""
    parent = int(os.environ.pop("ROOTSTOCK_GUARD_PARENT", os.getppid()))
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: stopping.append(received))
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while child.poll() is None and not stopping and os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    _end_group(child)
    return child.returncode


def _end_group(child: subprocess.Popen) -> None:
    """End what is left of the group: in order if it goes in time."""
    for number, patience in ((signal.SIGTERM, PATIENCE_SECONDS), (signal.SIGKILL, 1.0)):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        deadline = time.monotonic() + patience
        while _group_lives(child) and time.monotonic() < deadline:
            time.sleep(0.05)
    child.wait()


def _group_lives(child: subprocess.Popen) -> bool:
    child.poll()  # otherwise the dead child itself, not yet waited for, keeps the group alive
    try:
        os.killpg(child.pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
