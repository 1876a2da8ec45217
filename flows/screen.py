"""What the command line shows while it works: on a terminal bars that move, elsewhere a plain line now and then.

Everything goes to standard error, so that standard output holds results alone.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.progress import Shown, listen

SECONDS_BETWEEN_LINES = 15.0


@contextmanager
def screen() -> Iterator[None]:
    """Show the progress of everything inside the block."""
    if not sys.stderr.isatty():
        with listen(PlainScreen()):
            yield
        return
    terminal = TerminalScreen()
    with terminal.progress, listen(terminal):
        yield


class PlainScreen:
    """One line when a stage begins, one when it ends, and one every quarter of a minute between them."""

    def __init__(self, seconds_between_lines: float = SECONDS_BETWEEN_LINES) -> None:
        self._seconds = seconds_between_lines
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def stage_started(self, name: str) -> None:
        """Name the stage."""
        self._say(f"{name} ...")

    def stage_ended(self, shown: Shown, seconds: float, succeeded: bool) -> None:
        """Sum the stage up."""
        self._say(f"{shown.name}: {_outcome(shown, seconds, succeeded)}")

    def bar_moved(self, number: int, description: str, completed: float, total: float | None, note: str) -> None:
        """Say how far the work is, if nothing was said for a while."""
        if time.monotonic() - self._last >= self._seconds:
            so_far = f"{completed:,.0f}" + (f" of {total:,.0f} ({completed / total:.0%})" if total else "")
            self._say(f"  {description}: {so_far}  {note}".rstrip())

    def bar_ended(self, number: int) -> None:
        """Nothing to take away: lines stay."""

    def _say(self, line: str) -> None:
        with self._lock:
            self._last = time.monotonic()
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


class TerminalScreen:
    """A bar for each piece of work under way, and above them the stages that are done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[so_far]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._rows: dict[str | int, int] = {}
        self._lock = threading.Lock()

    def stage_started(self, name: str) -> None:
        """Open a row without an end."""
        with self._lock:
            self._rows[name] = self.progress.add_task(name, total=None, so_far="", note="")

    def stage_ended(self, shown: Shown, seconds: float, succeeded: bool) -> None:
        """Turn the row into a line that stays."""
        from rich.text import Text

        self._take_away(shown.name)
        unicode = (self.progress.console.encoding or "").lower().startswith("utf")
        tick, cross = ("✓", "✗") if unicode else ("+", "x")
        mark, style = (tick, "green") if succeeded else (cross, "red")
        line = Text.assemble((mark, style), f" {shown.name:<10} {_outcome(shown, seconds, succeeded)}")
        self.progress.console.print(line, soft_wrap=True)

    def bar_moved(self, number: int, description: str, completed: float, total: float | None, note: str) -> None:
        """Move the bar, or open it."""
        so_far = f"{completed:,.0f}/{total:,.0f}" if total else f"{completed:,.0f}" if completed else ""
        with self._lock:
            if number not in self._rows:
                self._rows[number] = self.progress.add_task(f"  {description}", total=total, so_far="", note="")
            self.progress.update(self._rows[number], completed=completed, total=total, so_far=so_far, note=note)  # type: ignore[arg-type]

    def bar_ended(self, number: int) -> None:
        """Take the bar away."""
        self._take_away(number)

    def _take_away(self, key: str | int) -> None:
        with self._lock:
            if (row := self._rows.pop(key, None)) is not None:
                self.progress.remove_task(row)  # type: ignore[arg-type]


def _outcome(shown: Shown, seconds: float, succeeded: bool) -> str:
    """Say how a stage ended: its seconds, and its figures or that it was reused."""
    if not succeeded:
        return f"stopped after {seconds:.1f} s"
    parts = [f"{seconds:.1f} s"] + (["reused"] if shown.reused else [])
    parts += [f"{key} {_figure(value)}" for key, value in shown.figures.items()]
    return ", ".join(parts)


def _figure(value: float | int | str) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value
