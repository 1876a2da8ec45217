"""How far the work is: told by tasks, shown by whoever listens (the command line does; a deployment's run does not).

with progress.stage("pretrain") as shown:              # pretrain …
    with progress.bar("steps", total=600) as bar:      #   steps ━━━━━━━╸    420/600  loss 2.31
        bar.report(420, {"train/loss": 2.31})
    shown.figures = {"bits per byte": 1.42}            # ✓ pretrain  183.0 s  bits per byte 1.42
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from lm_modules.progress import TOTAL, Values, numbers

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

    def bar_moved(self, bar: Bar) -> None:
        """A piece of work has begun, or has come further."""

    def bar_ended(self, bar: Bar) -> None:
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
    unit: str = "step"
    completed: float = 0
    number: int = field(default_factory=lambda: next(_numbers))
    """Tells bars of the same description apart."""
    _figures: dict[str, float] = field(default_factory=dict)
    _begun: tuple[float, float] | None = None
    """Where the work stood, and when, as it was first told: a resumed one does not begin at zero."""

    def report(self, step: int, values: Values) -> bool:
        """Take a `Report`: the step, the total if it is known, and figures, not texts. Never asks to stop."""
        figures = numbers(values)
        self.completed, self.total = step, figures.get(TOTAL, self.total)
        if self._begun is None:
            self._begun = (step, time.monotonic())
        self._figures.update({key: value for key, value in figures.items() if key in NOTED})
        for listener in _listeners:
            listener.bar_moved(self)
        return False

    def seconds_left(self) -> float | None:
        """Return what is left at the mean speed so far; None where that is not known."""
        if self._begun is None or not self.total or self.completed <= self._begun[0]:
            return None
        step, begun = self._begun
        return (self.total - self.completed) * (time.monotonic() - begun) / (self.completed - step)

    def notes(self) -> list[str]:
        """Return the newest figures in words: ["loss 5.60", "10,040 tokens/s"]."""
        return [words(self._figures[key]) for key, words in NOTED.items() if key in self._figures]


NOTED: dict[str, Callable[[float], str]] = {
    "train/loss": lambda value: f"loss {three_digits(value)}",
    "validation/bits_per_byte": lambda value: f"bits per byte {three_digits(value)}",
    "validation/macro_f1": lambda value: f"macro F1 {three_digits(value)}",
    "validation/nats_per_token": lambda value: f"nats per token {three_digits(value)}",
    "validation/preference_accuracy": lambda value: f"preferred {three_digits(value)}",
    "validation/accuracy": lambda value: f"accuracy {three_digits(value)}",
    "train/tokens_per_second": lambda value: f"{value:,.0f} tokens/s",
    "train/mfu": lambda value: f"MFU {100 * value:.1f} %",
    "train/data_wait_fraction": lambda value: f"data wait {100 * value:.1f} %",
}
"""The figures that a bar shows, in this order, and their words."""


def three_digits(value: float) -> str:
    """Return a number with three significant digits, zeros at the end included, so that its place does not jump."""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")


@contextmanager
def bar(description: str, total: float | None = None, unit: str = "step") -> Iterator[Bar]:
    """Show a piece of work for the length of the block."""
    moving = Bar(description, total, unit)
    for listener in _listeners:
        listener.bar_moved(moving)
    try:
        yield moving
    finally:
        for listener in _listeners:
            listener.bar_ended(moving)
