"""What the command line shows while it works: on a terminal bars that move, elsewhere a plain line now and then.

What our code logs as a notice or a warning is a line among them, whichever process of the work it comes from.

Everything goes to standard error, so that standard output holds results alone.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

from lm_modules.progress import NOTICE
from tasks.home import without_credentials
from tasks.progress import Bar, Listener, Shown, listen

SECONDS_BETWEEN_LINES = 15.0
STARTING = "starting ..."
REPORT_ONLY = ("largest logit difference of the export",)
"""Figures that the report and MLflow show: a check that passed is no news for the screen."""


@contextmanager
def screen() -> Iterator[None]:
    """Show the progress of everything inside the block."""
    if not sys.stderr.isatty():
        with _listening(PlainScreen()):
            yield
        return
    terminal = TerminalScreen()
    with terminal.progress, _listening(terminal):
        yield


class Screen(Listener, Protocol):
    """Shows the progress, and lines between."""

    def say(self, line: str) -> None:
        """Show a line that stays."""


@contextmanager
def _listening(shown: Screen) -> Iterator[None]:
    notices = Notices(shown)
    logging.getLogger().addHandler(notices)
    try:
        with listen(shown):
            yield
    finally:
        logging.getLogger().removeHandler(notices)


class Notices(logging.Handler):
    """Shows what our own code logs from notices upwards; the log has the rest, and what libraries say."""

    OURS = ("flows", "tasks", "lm_modules")

    def __init__(self, shown: Screen) -> None:
        super().__init__(NOTICE)
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        """Show its first line; a traceback is for the log."""
        if record.name.partition(".")[0] in self.OURS:
            first = record.getMessage().strip().partition("\n")[0]
            self._shown.say(without_credentials(first))


class PlainScreen:
    """One line when a stage begins, one when it ends, and for each bar between them one every quarter of a minute."""

    def __init__(self, seconds_between_lines: float = SECONDS_BETWEEN_LINES) -> None:
        self._seconds = seconds_between_lines
        self._spoke: dict[int, float] = {}
        self._lock = threading.Lock()

    def stage_started(self, name: str) -> None:
        """Name the stage."""
        self._say(f"{name} ...")

    def stage_ended(self, shown: Shown, seconds: float, succeeded: bool) -> None:
        """Sum the stage up."""
        self._say(f"{shown.name}: {_outcome(shown, seconds, succeeded)}")

    def bar_moved(self, bar: Bar) -> None:
        """Say how far the work is, if it began or was spoken of a while ago."""
        now = time.monotonic()
        if now - self._spoke.setdefault(bar.number, now) >= self._seconds and bar.completed:
            self._spoke[bar.number] = now
            so_far = f"{bar.unit} {bar.completed:,.0f} of {bar.total:,.0f}" if bar.total else _counted(bar)
            seconds = bar.seconds_left()
            left = [f"left {timedelta(seconds=int(seconds))}"] if seconds else []
            self._say(f"  {bar.description}: {', '.join([so_far, *bar.notes(), *left])}")

    def bar_ended(self, bar: Bar) -> None:
        """Forget the bar; its lines stay."""
        self._spoke.pop(bar.number, None)

    def say(self, line: str) -> None:
        """Show it under the stage that is running."""
        self._say(f"  {line}")

    def _say(self, line: str) -> None:
        with self._lock:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


class TerminalScreen:
    """A bar for each piece of work under way, and above them the stages that are done."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True, highlight=False)
        whole = Column(no_wrap=True)
        self.progress = Progress(
            SpinnerColumn(table_column=whole),
            TextColumn("{task.description}", markup=False),
            FittingBarColumn(console, table_column=whole),
            TextColumn("{task.fields[so_far]}", markup=False),
            TimeElapsedColumn(table_column=whole),
            TimeLeftColumn(table_column=whole),
            NoteColumn(),
            console=console,
            transient=True,
            speed_estimate_period=120,
        )
        self._rows: dict[str | int, int] = {STARTING: self._row(STARTING)}
        self._lock = threading.Lock()

    def stage_started(self, name: str) -> None:
        """Open a row without an end."""
        self._take_away(STARTING)
        with self._lock:
            self._rows[name] = self._row(name)

    def stage_ended(self, shown: Shown, seconds: float, succeeded: bool) -> None:
        """Turn the row into a line that stays."""
        self._take_away(shown.name)
        unicode = (self.progress.console.encoding or "").lower().startswith("utf")
        tick, cross = ("✓", "✗") if unicode else ("+", "x")
        mark, style = (tick, "green") if succeeded else (cross, "red")
        line = Text.assemble((mark, style), f" {shown.name:<10} {_outcome(shown, seconds, succeeded)}")
        self.progress.console.print(line, soft_wrap=True)

    def bar_moved(self, bar: Bar) -> None:
        """Move the bar, or open it."""
        so_far = f"{bar.completed:,.0f}/{bar.total:,.0f}" if bar.total else _counted(bar) if bar.completed else ""
        with self._lock:
            if bar.number not in self._rows:
                self._rows[bar.number] = self._row(f"  {bar.description}")
            row: Any = self._rows[bar.number]
            note = "  ".join(bar.notes())
            self.progress.update(row, completed=bar.completed, total=bar.total, so_far=so_far, note=note)

    def bar_ended(self, bar: Bar) -> None:
        """Take the bar away."""
        self._take_away(bar.number)

    def say(self, line: str) -> None:
        """Show it above the bars."""
        self.progress.console.print(Text(f"  {line}"), soft_wrap=True)

    def _row(self, description: str) -> int:
        return self.progress.add_task(description, total=None, so_far="", note="")

    def _take_away(self, key: str | int) -> None:
        with self._lock:
            if (row := self._rows.pop(key, None)) is not None:
                self.progress.remove_task(row)  # type: ignore[arg-type]


class FittingBarColumn(BarColumn):
    """A bar that is shorter where the terminal is narrow, also when it became so meanwhile."""

    def __init__(self, console: Console, table_column: Column) -> None:
        super().__init__(table_column=table_column)
        self._console = console

    def render(self, task: Task) -> ProgressBar:
        """Return the bar."""
        self.bar_width = min(40, max(8, self._console.width - 90))
        return super().render(task)


class TimeLeftColumn(ProgressColumn):
    """What is left at the speed of the last two minutes; empty for a row without a total."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Return "left 0:05:10"."""
        seconds = None if task.finished else task.time_remaining
        return Text("" if seconds is None else f"left {timedelta(seconds=int(seconds))}", style="progress.remaining")


class NoteColumn(ProgressColumn):
    """The newest figures; where the terminal is narrow, this column alone gives way."""

    def render(self, task: Task) -> Text:
        """Return what the bar notes, in one line."""
        return Text(task.fields["note"], style="dim", no_wrap=True, overflow="ellipsis")


def _counted(bar: Bar) -> str:
    return f"{bar.completed:,.0f} {bar.unit}" + ("s" if bar.completed != 1 else "")


def _outcome(shown: Shown, seconds: float, succeeded: bool) -> str:
    """Say how a stage ended: its seconds, and its figures or that it was reused."""
    if not succeeded:
        return f"stopped after {seconds:.1f} s"
    parts = [f"{seconds:.1f} s"] + (["reused"] if shown.reused else [])
    parts += [f"{key} {_figure(value)}" for key, value in shown.figures.items() if key not in REPORT_ONLY]
    return ", ".join(parts)


def _figure(value: float | int | str) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value
