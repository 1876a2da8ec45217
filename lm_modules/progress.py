"""How long work tells the floor above what it sees, without knowing who listens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

Values = Mapping[str, float | str]
"""What is seen at a step: a number is a metric, a string is a text for people to read and its name that of a file."""

Report = Callable[[int, Values], bool]
"""`report(step, {"train/loss": 2.3}) -> stop`: true asks the caller to end in order (a pruned trial)."""

TOTAL = "progress/total"
"""Work that knows its number of steps reports it under this name, which is for whoever shows progress: no metric."""

NOTICE = logging.INFO + 5
"""Level of a log line that is no warning, and yet for whoever waits for the work: that a run is continued, say.

It and all that is graver reaches the screen as a line of its own, also from the process of a training."""
logging.addLevelName(NOTICE, "NOTICE")


def keep_going(step: int, values: Values) -> bool:
    """Report to nobody."""
    return False


def numbers(values: Values) -> dict[str, float]:
    """Return the metrics among the values."""
    return {name: value for name, value in values.items() if not isinstance(value, str)}
