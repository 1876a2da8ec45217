"""Rows of columnar tables (https://arrow.apache.org): texts out of batches, one bad row never taking others with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from configs.base import nearest
from lm_modules.data.inputs.damage import TOO_LONG, RefusedError
from lm_modules.data.inputs.groups import group_of
from lm_modules.data.personal import EXCERPT_CHARACTERS, excerpt, excerpt_of_bytes, shown_names

BYTES_READ_AT_ONCE = 8 << 20
MOST_ROWS_READ_AT_ONCE = 1000


def require_columns(place: str, columns: list[str], known: list[str]) -> None:
    """Raise a ValueError if a table has not the columns; `RefusedError` if it has two of that name."""
    for column in columns:
        if column not in known:
            shown = shown_names(column, known)
            hint = nearest(column, [name for name in shown if name in known] or shown)
            raise ValueError(f"{place} has no column {column!r}{hint}")
        if known.count(column) > 1:
            raise RefusedError("two of its columns have the same name", repr(column))


def rows_at_once(num_bytes: int, num_rows: int) -> int:
    """Return how many rows to read at once, for rows of such a mean size."""
    return max(1, min(MOST_ROWS_READ_AT_ONCE, BYTES_READ_AT_ONCE * num_rows // max(num_bytes, 1)))


def texts_of(column: Any, max_bytes: int | None) -> Iterator[tuple[str | None, str, str]]:
    """Yield (text or None, problem, excerpt) for each value of a column.

    A value may stand in many rows though the column has it once (dictionaries, runs, views), so these are never decoded
    but one by one.
    """
    import pyarrow as arrow
    import pyarrow.compute

    if column.type in (arrow.string(), arrow.large_string()):
        longest = arrow.compute.max(arrow.compute.binary_length(column)).as_py() or 0
        if max_bytes is None or longest <= max_bytes:
            try:
                for value in column.to_pylist():
                    yield _NO_TEXT if value is None else (value, "", "")
                return
            except UnicodeDecodeError:
                pass
    for each in column:
        value = _stored(each)
        if not (value.is_valid and _is_text(value.type)):
            yield None, "no string", excerpt(str(value.type) if value.is_valid else "null", EXCERPT_CHARACTERS)
        elif max_bytes is not None and len(value.as_buffer()) > max_bytes:
            yield None, TOO_LONG, f"{len(value.as_buffer())} bytes"
        else:
            try:
                yield value.as_py(), "", ""
            except UnicodeDecodeError:
                yield None, "not UTF-8", excerpt_of_bytes(bytes(value.as_buffer()), EXCERPT_CHARACTERS)


_NO_TEXT = (None, "no string", "null")


def groups_of(column: Any) -> Iterator[str | None]:
    """Yield the group for each value of a column, as `group_of` has it; bytes that are not UTF-8 are replaced."""
    import pyarrow as arrow

    for each in column:
        value = _stored(each)
        if arrow.types.is_nested(value.type):
            raise RefusedError("a column whose values are no groups", excerpt(str(value.type), EXCERPT_CHARACTERS))
        try:
            text = value.is_valid and _is_text(value.type)
            yield group_of(bytes(value.as_buffer()).decode("utf-8", "replace") if text else value.as_py())
        except (ValueError, ArithmeticError, LookupError) as error:
            raise RefusedError("a column whose values are out of all bounds", str(error)) from error


def _stored(value: Any) -> Any:
    """Return what a dictionary, a run or a value in JSON holds."""
    import pyarrow as arrow

    while isinstance(value, arrow.DictionaryScalar | arrow.RunEndEncodedScalar | arrow.JsonScalar):
        value = arrow.scalar(None) if value.value is None else value.value
    return value


def _is_text(kind: Any) -> bool:
    import pyarrow as arrow

    return kind in (arrow.string(), arrow.large_string(), arrow.string_view())


def values_of(column: Any) -> Iterator[tuple[Any, str]]:
    """Yield (value, problem) for each value of a column of any kind."""
    for value in column:
        try:
            yield _stored(value).as_py(), ""
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

    if isinstance(column, arrow.DictionaryArray):
        return arrow.DictionaryArray.from_arrays(column.indices, _in_bytes(column.dictionary), safe=False)
    if isinstance(column, arrow.RunEndEncodedArray):
        column.validate()
        return _in_bytes(column.values)
    if isinstance(column, arrow.ExtensionArray):
        return _in_bytes(column.storage)
    kinds = {
        arrow.string(): arrow.binary(),
        arrow.large_string(): arrow.large_binary(),
        arrow.string_view(): arrow.binary_view(),
    }
    return column.view(kinds[column.type]) if column.type in kinds else column


def bounded(file: BinaryIO) -> BinaryIO:
    """Return a file that is never asked for more than it has, and with a place of its own.

    Tables tell how long their pieces are, and Python makes room for what is asked for before it reads.
    """
    return cast(BinaryIO, _Bounded(file))


class _Bounded(io.RawIOBase):
    def __init__(self, file: BinaryIO):
        self.file, self.place = file, file.tell()
        self.end = file.seek(0, io.SEEK_END)
        file.seek(self.place)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        self.place = self.file.seek(place + {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.end}[whence])
        return self.place

    def read(self, most_bytes: int = -1) -> bytes:
        self.file.seek(self.place)
        left = max(0, self.end - self.place)
        data = self.file.read(left if most_bytes < 0 else min(most_bytes, left))
        self.place += len(data)
        return data
