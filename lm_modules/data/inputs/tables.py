"""Rows of columnar tables (https://arrow.apache.org): texts out of batches, one bad row never taking others with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from configs.base import nearest
from lm_modules.data.inputs.damage import TOO_LONG
from lm_modules.data.personal import excerpt, excerpt_of_bytes, shown_names

BYTES_READ_AT_ONCE = 8 << 20
MOST_ROWS_READ_AT_ONCE = 1000
EXCERPT_CHARACTERS = 200


def require_columns(place: str, columns: tuple[str, ...], known: list[str]) -> None:
    """Raise a ValueError if a table has not the columns."""
    for column in columns:
        if column not in known:
            raise ValueError(f"{place} has no column {column!r}{nearest(column, shown_names(column, known))}")


def rows_at_once(num_bytes: int, num_rows: int) -> int:
    """Return how many rows to read at once, for rows of such a mean size."""
    return max(1, min(MOST_ROWS_READ_AT_ONCE, BYTES_READ_AT_ONCE * num_rows // max(num_bytes, 1)))


def texts_of(column: Any, max_bytes: int | None) -> Iterator[tuple[str | None, str, str]]:
    """Yield (text or None, problem, excerpt) for each value of a column."""
    import pyarrow as arrow
    import pyarrow.compute

    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    is_text = arrow.types.is_string(column.type) or arrow.types.is_large_string(column.type)
    longest = (arrow.compute.max(arrow.compute.binary_length(column)).as_py() or 0) if is_text else 0
    if max_bytes is None or longest <= max_bytes:
        values = _at_once(column)
        if values is not None:
            yield from (_judged(value) for value in values)
            return
    for value in column:
        num_bytes = len(value.as_buffer()) if is_text and value.is_valid else 0
        if max_bytes is not None and num_bytes > max_bytes:
            yield None, TOO_LONG, f"{num_bytes} bytes"
            continue
        try:
            yield _judged(value.as_py())
        except UnicodeDecodeError:
            yield None, "not UTF-8", excerpt_of_bytes(bytes(value.as_buffer()), EXCERPT_CHARACTERS)


def _at_once(column: Any) -> list[Any] | None:
    """Return all values, or None where one is not UTF-8: then they are read one by one."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return None


def _judged(value: Any) -> tuple[str | None, str, str]:
    return (value, "", "") if isinstance(value, str) else (None, "no string", excerpt(repr(value), EXCERPT_CHARACTERS))
