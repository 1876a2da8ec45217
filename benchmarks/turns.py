"""Letting contestants train side by side: each in a process of its own, in turns of a few steps while the others wait.

Whatever slows the machine for a while then slows all of them.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PAUSE = 0.05
"""Seconds between two turns, in which the threads of the one before go to sleep."""


@dataclass
class Record:
    """What was seen of a contestant."""

    seconds: list[float] = field(default_factory=list)
    """Of each turn; the last one goes on to the end of the work."""
    result: Any = None


class Turns:
    """The contestant's side: called when a step begins, it waits for its turn, and sends how long the last one took."""

    def __init__(self, pipe: Any, steps: int, left_out: int) -> None:
        self._pipe, self._steps, self._left_out = pipe, steps, left_out
        self._step, self._began = 0, 0.0

    def __call__(self) -> None:
        done = self._step - self._left_out
        self._step += 1
        if done >= 0 and done % self._steps == 0:
            self.send(None)
            self._pipe.recv()
            self._began = time.perf_counter()

    def send(self, result: Any) -> None:
        self._pipe.send((time.perf_counter() - self._began, result))


Work = Callable[..., Any]
"""Trains, calls its last argument when a step begins, and returns something that is not None."""


def train_in_turns(
    works: dict[str, tuple[Work, tuple[Any, ...]]], *, steps: int, left_out: int, threads: int
) -> dict[str, Record]:
    """Run functions with their arguments in turns of so many steps, after some first ones that are not counted."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    spawn, pipes, children = multiprocessing.get_context("spawn"), {}, []
    try:
        for name, (work, arguments) in works.items():
            pipes[name], theirs = spawn.Pipe()
            child = spawn.Process(target=_contest, args=(work, arguments, theirs, steps, left_out, threads))
            child.start()
            theirs.close()
            children.append(child)
            pipes[name].recv()  # the first steps are done
        records = _alternate(pipes)
        for child in children:
            child.join(10)
        return records
    finally:
        for child in children:  # also those that went wrong, or do not end
            child.kill()
            child.join()


def _alternate(pipes: dict[str, Any]) -> dict[str, Record]:
    records = {name: Record() for name in pipes}
    waiting, chance = list(pipes), random.Random(0)
    while waiting:
        for name in chance.sample(waiting, len(waiting)):  # nobody always follows the same one
            time.sleep(PAUSE)
            pipes[name].send(None)
            seconds, records[name].result = pipes[name].recv()
            records[name].seconds.append(seconds)
        waiting = [name for name in waiting if records[name].result is None]
    return records


def _contest(work: Work, arguments: tuple[Any, ...], pipe: Any, steps: int, left_out: int, threads: int) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import torch

    torch.set_num_threads(threads)
    turns = Turns(pipe, steps, left_out)
    turns.send(work(*arguments, turns))


def announce_steps_of_the_engine(step_begins: Callable[[], None]) -> None:
    """Let Rootstock's engine, in this process, tell when a step begins; its clock leaves the waiting out."""
    from lm_modules.training.pretraining_module import PretrainingModule

    whole_step = PretrainingModule.training_step

    def announced(self: Any, *arguments: Any) -> Any:
        self.clock.pause()
        step_begins()
        self.clock.start()
        return whole_step(self, *arguments)

    PretrainingModule.training_step = announced  # type: ignore[method-assign]
