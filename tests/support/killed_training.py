"""Training in a process of its own that is killed at a chosen moment: in a step, or in the writing of a checkpoint.

The processes are forked from a server that has torch in memory, so one begins, trains and is killed in half a second.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lm_modules.training.followers import fork_server

AUDITED = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir", "shutil.rmtree")
"""What a process does to files while it writes a checkpoint, and Python tells of."""


@dataclass(frozen=True)
class Kill:
    """A moment: so long after a step was reported, or before what a save does to its files for the nth time."""

    step: int
    delay_seconds: float = 0.0
    before_event: int | None = None


@dataclass
class Attempt:
    """What became of a training process."""

    result: dict[str, Any] | None
    seconds_per_step: float
    events: int
    """What it did to files in its checkpoints directory."""
    reports: list[tuple[int, dict[str, float]]]
    """What it reported, each with its step."""


def attempt(train: Callable[..., dict[str, Any]], workdir: Path, kill: Kill | None = None) -> Attempt:
    """Call `train(report=...)`, which works in `workdir`, in a process of its own until its end or its kill.

    If it was killed, `result` is None.
    """
    context = fork_server()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(theirs, train, workdir, kill))
    process.start()
    theirs.close()
    stamps, reports, done = {}, [], None
    try:
        while done is None:
            message = ours.recv()
            if isinstance(message, dict):
                done = message
                continue
            reports.append(message)
            if (step := message[0]) not in stamps:
                stamps[step] = time.perf_counter()
                if kill and kill.before_event is None and step >= kill.step:
                    time.sleep(kill.delay_seconds)
                    process.kill()
    except EOFError:  # it was killed
        pass
    process.join(60)
    code = process.exitcode
    process.close()
    ours.close()
    if done is None:
        assert kill is not None, f"training ended with exit code {code}"
        assert code == -signal.SIGKILL, f"training ended with exit code {code} before {kill}"
        return Attempt(None, 0.0, 0, reports)
    times = list(stamps.values())
    seconds = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    return Attempt(done["result"], seconds, done["events"], reports)


def _train(pipe: Connection, train: Callable[..., dict[str, Any]], workdir: Path, kill: Kill | None) -> None:
    import torch

    from lm_modules.training import finetuning_evaluations

    # The makers of batches and other ranks come from the server that is there; a second one would import torch again.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    finetuning_evaluations.SECONDS_BETWEEN_REPORTS = 0.0
    inside, step, events, written = (str(workdir / "checkpoints"), str(workdir / "best")), 0, 0, 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal events, written
        if event in AUDITED and str(arguments[0]).startswith(inside):
            events += 1
            if kill and kill.before_event is not None and step >= kill.step:
                written += 1
                if written == kill.before_event:
                    os.kill(os.getpid(), signal.SIGKILL)

    def report(now: int, values: dict[str, float]) -> bool:
        nonlocal step
        step = max(step, now)
        pipe.send((now, {name: value for name, value in values.items() if not isinstance(value, str)}))
        return False

    sys.addaudithook(watch)
    result = train(report=report)
    pipe.send({"result": result, "events": events})
