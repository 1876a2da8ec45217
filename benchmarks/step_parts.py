"""Where a step of training spends its time: Rootstock beside a bare loop over its model, part by part.

    python benchmarks/step_parts.py [--size 1M] [--turns 30] [--threads 2] [--compiled]

Both train in turns of a few steps, each in a process of its own while the other waits, as in pretraining_speed.py. Each
step is divided into its passes (forward and backward through the network, with the loss), its optimizer (with clipping
and the gradients set back), and what surrounds them: making the batch, checks, reports and Lightning, or what the bare
loop has of these. Printed are medians over the steps in milliseconds; medians of parts need not add up to that of the
whole. The parts are timed in the training process, so no reader of the figures has to know when the other one ran.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pretraining_speed import LEFT_OUT_STEPS, SHAPES, Shape, Step, bare, rootstock
from turns import train_in_turns

logger = logging.getLogger("step_parts")

PARTS = ("passes", "optimizer", "around them", "whole step")
Times = dict[str, list[float]]


class Parts:
    """Times the parts of steps; `step_begins` is called where a step begins, and waits for the contestant's turn."""

    def __init__(self, step_begins: Step) -> None:
        self._step_begins, self._step = step_begins, dict.fromkeys(PARTS[:2], 0.0)
        self._began: float | None = None
        self.times: Times = {name: [] for name in PARTS}

    def begin(self) -> None:
        """End the step before, wait, and begin the next."""
        if self._began is not None:
            whole = time.perf_counter() - self._began
            step = {**self._step, PARTS[2]: whole - sum(self._step.values()), PARTS[3]: whole}
            for name, seconds in step.items():
                self.times[name].append(seconds)
        self._step_begins()
        self._step = dict.fromkeys(PARTS[:2], 0.0)
        self._began = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what is done inside as this part of the step."""
        began = time.perf_counter()
        yield
        self._step[name] += time.perf_counter() - began


def engine(shape: Shape, steps: int, compiled: bool, step_begins: Step) -> Times:
    """Train by the whole engine."""
    from lm_modules.training.pretraining_module import PretrainingModule

    parts = Parts(step_begins)

    def timed(method: str, part: str) -> None:
        whole = getattr(PretrainingModule, method)

        def measured(self: Any, *arguments: Any) -> Any:
            with parts.part(part):
                return whole(self, *arguments)

        setattr(PretrainingModule, method, measured)

    timed("_gradient", "passes")
    timed("_move", "optimizer")
    rootstock(shape, steps, compiled, parts.begin)
    return parts.times


def loop(shape: Shape, steps: int, compiled: bool, step_begins: Step) -> Times:
    """Train by the bare loop."""
    parts = Parts(step_begins)
    bare(shape, steps, compiled, parts.begin, parts.part)
    return parts.times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SHAPES, default="1M")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compiled", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    shape = SHAPES[arguments.size]
    steps = LEFT_OUT_STEPS + arguments.turns * shape.steps_of_a_turn
    works = {name: (work, (shape, steps, arguments.compiled)) for name, work in (("engine", engine), ("loop", loop))}
    records = train_in_turns(works, steps=shape.steps_of_a_turn, left_out=LEFT_OUT_STEPS, threads=arguments.threads)
    medians = {
        name: {part: 1000 * statistics.median(seconds[LEFT_OUT_STEPS:]) for part, seconds in record.result.items()}
        for name, record in records.items()
    }
    how = f"{arguments.threads} threads, {'compiled' if arguments.compiled else 'not compiled'}"
    logger.info("%s parameters, %s, milliseconds of a step, median of %d", arguments.size, how, steps - LEFT_OUT_STEPS)
    logger.info("%-12s %9s %9s %11s", "", "engine", "bare loop", "difference")
    for part in PARTS:
        ours, theirs = medians["engine"][part], medians["loop"][part]
        logger.info("%-12s %9.2f %9.2f %+11.2f", part, ours, theirs, ours - theirs)


if __name__ == "__main__":
    main()
