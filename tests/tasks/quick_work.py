"""Functions that tests run in other processes; a child imports them by name."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lm_modules.hardware.memory import TooLarge
from lm_modules.progress import NOTICE


def add(left: int, right: int) -> dict[str, int]:
    return {"sum": left + right, "pid": os.getpid(), "group": os.getpgid(0)}


def count(steps: int, report: Callable[[int, dict[str, float]], bool]) -> list[bool]:
    answers = []
    for step in range(steps):
        answers.append(report(step, {"value": step / 2}))
        if answers[-1]:
            break
    return answers


def refuse() -> None:
    raise ValueError("width 0 is below 1; raise it")


def outgrow() -> None:
    raise TooLarge("a single row")


def stumble() -> None:
    {}["missing"]


def misread() -> None:
    b"\xff".decode()


def not_json() -> object:
    return object()


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(7)


def speak() -> None:
    print("to the screen", flush=True)
    logging.getLogger("speech").info("a detail")
    logging.getLogger("speech").log(NOTICE, "a notice")
    logging.getLogger("speech").warning("a warning")


def environment(name: str) -> str | None:
    return os.environ.get(name)


def num_threads() -> int:
    import torch

    return torch.get_num_threads()


def main_module() -> str | None:
    import sys

    return getattr(sys.modules["__main__"], "__file__", None)


def survive(pid_file: Path, report: Callable[[int, dict[str, float]], bool]) -> None:
    """Work until told to stop, then save."""
    pid_file.write_text(str(os.getpid()))
    step = 0
    while not report(step, {}):
        step += 1
        time.sleep(0.05)
    pid_file.with_suffix(".saved").write_text(str(step))


def say_to_the_end(file: Path, patience: float, report: Callable[[int, dict[str, float]], bool]) -> None:
    """Report, also once after it was told to stop."""
    said = 0
    while not report(said, {}):
        said += 1
        time.sleep(patience)  # the wish to stop may come before a report, or while it waits for an answer
    report(said + 1, {})
    file.write_text(" ".join(map(str, range(said + 2))))


def talk_on(pid_file: Path, report: Callable[[int, dict[str, float]], bool]) -> None:
    """Report for ever, whatever the parent answers."""
    pid_file.write_text(str(os.getpid()))
    while True:
        report(1, {})


def ignore_everything(pid_file: Path) -> None:
    """Work on, whatever the parent asks."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pid_file.write_text(str(os.getpid()))
    threading.Event().wait()


def with_a_worker(pid_file: Path) -> None:
    """Work with a process of one's own, as data loaders have them."""
    worker = os.fork()
    if worker == 0:
        time.sleep(600)
    pid_file.write_text(f"{os.getpid()} {worker}")
    time.sleep(600)


def be_killed_once(marker: Path) -> str:
    if not marker.exists():
        marker.write_text("first")
        be_killed()
    return "second"
