"""The first line of a table of values, which names its columns: one error for every kind of such a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches

from lm_modules.data.personal import shown_names

DELIMITERS = ",;\t|"
"""What often stands between columns."""


def require_column(place: str, column: str, names: Sequence[str]) -> None:
    """Raise a ValueError if a column is not among those of a table; where the delimiter looks wrong, it names another.

    A table whose one name holds what often stands between columns (`text;label`) was not taken apart.
    """
    if column in names:
        return
    shown = shown_names(column, names)
    inside = [each for each in DELIMITERS if len(names) == 1 and each in names[0]]
    if inside:
        remedy = f"; if columns are parted otherwise, set delimiter: {json.dumps(inside[0])}"
    else:
        close = get_close_matches(column, shown, n=1)
        remedy = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"{place} has no column {column!r}{remedy} (its columns: {', '.join(shown) or 'none'})")
