"""How long work tells the floor above what it sees, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[int, dict[str, float]], bool]
"""`report(step, {"train/loss": 2.3}) -> stop`: true asks the caller to end in order (a pruned trial)."""

TOTAL = "progress/total"
"""Work that knows its number of steps reports it under this name, which is for whoever shows progress: no metric."""


def keep_going(step: int, values: dict[str, float]) -> bool:
    """Report to nobody."""
    return False
