"""Training in a process of its own that is killed at a chosen moment: in a step, or in the writing of a checkpoint.

The processes are forked from a server that has torch in memory, so one begins, trains and is killed in half a second.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from configs.pretraining import PretrainingConfig
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


def attempt(config: PretrainingConfig, text: tuple[Path, Path], workdir: Path, kill: Kill | None = None) -> Attempt:
    """Train in a process of its own until the end, or until it is killed; then `result` is None."""
    context = fork_server()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(theirs, config, text, workdir, kill))
    process.start()
    theirs.close()
    stamps, done = [], None
    try:
        while done is None:
            message = ours.recv()
            if isinstance(message, dict):
                done = message
            else:
                stamps.append(time.perf_counter())
                if kill and kill.before_event is None and message >= kill.step:
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
        return Attempt(None, 0.0, 0)
    seconds = (stamps[-1] - stamps[0]) / (len(stamps) - 1) if len(stamps) > 1 else 0.0
    return Attempt(done["result"], seconds, done["events"])


def _train(
    pipe: Connection, config: PretrainingConfig, text: tuple[Path, Path], workdir: Path, kill: Kill | None
) -> None:
    import torch

    from lm_modules.training.pretraining import pretrain

    # The makers of batches and other ranks come from the server that is there; a second one would import torch again.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    inside, step, events, written = str(workdir / "checkpoints"), 0, 0, 0

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
        if now > step:
            step = now
            pipe.send(now)
        return False

    sys.addaudithook(watch)
    result = pretrain(config, tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, report=report)
    pipe.send({"result": result, "events": events})
