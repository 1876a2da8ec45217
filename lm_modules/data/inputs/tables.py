"""Rows of columnar tables (https://arrow.apache.org): texts out of batches, one bad row never taking others with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from configs.base import nearest
from lm_modules.data.inputs.damage import TOO_LONG, RefusedError
from lm_modules.data.inputs.groups import group_of
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
        # decoded value by value: a long one may stand in every row
        values = column.dictionary
        known: dict[int | None, tuple[str | None, str, str]] = {None: (None, "no string", "None")}
        for index in column.indices.to_pylist():
            if index not in known:
                (known[index],) = texts_of(values.slice(index, 1), max_bytes)
            yield known[index]
        return
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


def groups_of(column: Any) -> Iterator[str | None]:
    """Yield the group for each value of a column, as `group_of` has it; bytes that are not UTF-8 are replaced."""
    import pyarrow as arrow

    if arrow.types.is_dictionary(column.type):
        known: dict[int | None, str | None] = {None: None}
        for index in column.indices.to_pylist():
            if index not in known:
                (known[index],) = groups_of(column.dictionary.slice(index, 1))
            yield known[index]
    elif (values := _at_once(column)) is not None:
        yield from map(group_of, values)
    else:
        for value in column:
            yield group_of(bytes(value.as_buffer()).decode("utf-8", "replace") if value.is_valid else None)


def values_of(column: Any) -> Iterator[tuple[Any, str]]:
    """Yield (value, problem) for each value of a column of any kind."""
    import pyarrow as arrow

    if arrow.types.is_dictionary(column.type):
        known: dict[int | None, tuple[Any, str]] = {None: (None, "")}
        for index in column.indices.to_pylist():
            if index not in known:
                (known[index],) = values_of(column.dictionary.slice(index, 1))
            yield known[index]
    elif (values := _at_once(column)) is not None:
        yield from ((value, "") for value in values)
    else:
        for value in column:
            try:
                yield value.as_py(), ""
            except UnicodeDecodeError:
                yield None, "not UTF-8"


def validated(batch: Any) -> Any:
    """Return a batch whose every value lies within it, as its file alone does not warrant; an ArrowInvalid if not.

    Whether its strings are UTF-8 is not asked here: of those that are not, the row is set aside and not the batch.
    """
    for column in batch.columns:
        _in_bytes(column).validate(full=True)
    return batch


def _in_bytes(column: Any) -> Any:
    import pyarrow as arrow

    if arrow.types.is_dictionary(column.type):
        values = _in_bytes(column.dictionary)
        return arrow.DictionaryArray.from_arrays(column.indices, values, safe=False)
    kinds = ((arrow.string(), arrow.binary()), (arrow.large_string(), arrow.large_binary()))
    return next((column.view(plain) for text, plain in kinds if column.type == text), column)


def _at_once(column: Any) -> list[Any] | None:
    """Return all values, or None where one is not UTF-8: then they are read one by one."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return None
    except (ValueError, ArithmeticError, LookupError) as error:
        raise RefusedError("a column whose values are out of all bounds", str(error)) from error


def _judged(value: Any) -> tuple[str | None, str, str]:
    return (value, "", "") if isinstance(value, str) else (None, "no string", excerpt(repr(value), EXCERPT_CHARACTERS))


def bounded(file: BinaryIO) -> BinaryIO:
    """Return a file that is never asked for more than it has.

    Tables tell how long their pieces are, and Python makes room for what is asked for before it reads.
    """
    return cast(BinaryIO, _Bounded(file))


class _Bounded(io.RawIOBase):
    def __init__(self, file: BinaryIO):
        self.file = file
        start = file.tell()
        self.end = file.seek(0, io.SEEK_END)
        file.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.file.tell()

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        return self.file.seek(place, whence)

    def read(self, most_bytes: int = -1) -> bytes:
        left = max(0, self.end - self.file.tell())
        return self.file.read(left if most_bytes < 0 else min(most_bytes, left))
