"""What a column or field for groups may hold: one rule for every kind of source."""

from __future__ import annotations

from typing import Any


def group_of(value: Any) -> str | None:
    """Return the group that a value names. Nothing (null, NaN, an empty string) is none: such documents stand alone."""
    # NaN alone is not equal to itself
    return None if value is None or value == "" or value != value else str(value)
