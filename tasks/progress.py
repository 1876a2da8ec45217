"""How far the work is: told by tasks, shown by whoever listens (the command line does; a deployment's run does not).

with progress.stage("pretrain") as shown:              # pretrain …
    with progress.bar("steps", total=600) as bar:      #   steps ━━━━━━━╸    420/600  loss 2.31
        bar.report(420, {"train/loss": 2.31})
    shown.figures = {"bits per byte": 1.42}            # ✓ pretrain  183.0 s  bits per byte 1.42
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

TOTAL = "progress/total"
"""A reporter that alone knows its number of steps gives it among its values, under this key."""

_numbers = itertools.count()


@dataclass
class Shown:
    """What the end of a stage says."""

    name: str
    reused: bool = False
    figures: Mapping[str, float | int | str] = field(default_factory=dict)


class Listener(Protocol):
    """Shows the progress; called from any thread."""

    def stage_started(self, name: str) -> None:
        """A stage begins."""

    def stage_ended(self, shown: Shown, seconds: float, succeeded: bool) -> None:
        """A stage is over."""

    def bar_moved(self, number: int, description: str, completed: float, total: float | None, note: str) -> None:
        """A piece of work has come so far; `number` tells bars of the same description apart."""

    def bar_ended(self, number: int) -> None:
        """A piece of work is over."""


_listeners: list[Listener] = []


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Tell a listener everything for the length of the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def stage(name: str) -> Iterator[Shown]:
    """Announce a stage, and its end with what was put into the yielded object."""
    shown, started, succeeded = Shown(name), time.monotonic(), False
    for listener in _listeners:
        listener.stage_started(name)
    try:
        yield shown
        succeeded = True
    finally:
        for listener in _listeners:
            listener.stage_ended(shown, time.monotonic() - started, succeeded)


@dataclass
class Bar:
    """One piece of work inside a stage."""

    description: str
    total: float | None = None
    number: int = field(default_factory=lambda: next(_numbers))
    _figures: dict[str, float] = field(default_factory=dict)

    def update(self, completed: float, total: float | None = None, note: str = "") -> None:
        """Say how far the work is; `total` stays as it was when it is not given."""
        self.total = self.total if total is None else total
        for listener in _listeners:
            listener.bar_moved(self.number, self.description, completed, self.total, note)

    def report(self, step: int, values: Mapping[str, float]) -> bool:
        """Take a `Report` of training: the step, and figures of which the newest are noted. Never asks to stop."""
        self._figures.update({key: value for key, value in values.items() if key in NOTED})
        note = "  ".join(f"{NOTED[key]} {self._figures[key]:.3g}" for key in NOTED if key in self._figures)
        self.update(step, values.get(TOTAL), note)
        return False


NOTED = {
    "train/loss": "loss",
    "validation/bits_per_byte": "bits per byte",
    "validation/macro_f1": "macro F1",
    "validation/accuracy": "accuracy",
}
"""The figures that a bar shows, and what it calls them."""


@contextmanager
def bar(description: str, total: float | None = None) -> Iterator[Bar]:
    """Show a piece of work for the length of the block."""
    moving = Bar(description, total)
    moving.update(0)
    try:
        yield moving
    finally:
        for listener in _listeners:
            listener.bar_ended(moving.number)
