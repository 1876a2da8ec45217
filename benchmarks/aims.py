"""What a benchmark is to show, beside what it has shown; with `--check` a missed aim is an exit code of 1."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass

logger = logging.getLogger("aims")


@dataclass(frozen=True)
class Aim:
    """A number that is to be at least, or at most, another."""

    what: str
    seen: float
    bound: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether what was seen, unrounded, is on the right side."""
        return self.seen <= self.bound if self.at_most else self.seen >= self.bound

    def __str__(self) -> str:
        side = "at most" if self.at_most else "at least"
        return f"{'met' if self.is_met else 'MISSED'}: {self.what} {self.seen:.3f} (aim: {side} {self.bound:g})"


def add_check(parser: argparse.ArgumentParser) -> None:
    """Add `--check`."""
    parser.add_argument("--check", action="store_true", help="exit with 1 if an aim is missed")


def tell(aims: Sequence[Aim], *, check: bool) -> None:
    """Print each aim beside what was seen; where `check` asks it, end with 1 if one is missed or there is none."""
    for aim in aims:
        logger.info("%s", aim)
    if not aims:
        logger.info("no aim: what it compares was left out")
    if check and not (aims and all(aim.is_met for aim in aims)):
        sys.exit(1)
