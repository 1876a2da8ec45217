"""What a column or field for groups may hold: one rule for every kind of source."""

from __future__ import annotations

from typing import Any


def group_of(value: Any) -> str | None:
    """Return the group that a value names. Nothing (null, an empty string) is no group: such documents stand alone."""
    return None if value is None or value == "" else str(value)
