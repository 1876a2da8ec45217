"""Labelled examples in a table of comma- or tab-separated values."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from lm_modules.data.documents import Unreadable
from lm_modules.data.inputs.headers import require_column
from lm_modules.data.labelled_table import LabelledTable

LONGEST_VALUE_CHARACTERS = 2**31 - 1


class Csv(LabelledTable):
    """Rows of CSV files (RFC 4180) whose first line names the columns; bad rows are set aside with their lines."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    kind: Literal["csv"] = "csv"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between columns; a tab is written "\\t"."""
    quotes: bool = True
    """Double quotes enclose a value; false takes them as text, as many tab-separated files do."""

    def rows(
        self, file: Path, columns: Sequence[str], others: Sequence[str] = ()
    ) -> Iterator[tuple[int, dict[str, str]] | Unreadable]:
        """Yield the rows of a file."""
        # Bytes that are not UTF-8 become lone surrogates, by which their row is known.
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            reader = csv.reader(
                lines,
                delimiter=self.delimiter,
                quoting=csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE,
                strict=True,
            )
            names = self._names(reader, file, columns)
            while True:
                first = reader.line_num + 1
                try:
                    values = _next(reader)
                except csv.Error as error:
                    last = reader.line_num if reader.line_num > first else None
                    yield Unreadable(
                        self.kind, str(file), first, f"not CSV: {error} (is a quote missing, or text?)", last_line=last
                    )
                    continue
                if values is None:
                    return
                if reason := _fault(values, names):
                    yield Unreadable(self.kind, str(file), first, reason, self.delimiter.join(values))
                elif values:
                    yield first, dict(zip(names, values, strict=True))

    def _names(self, reader: Any, file: Path, columns: Sequence[str]) -> list[str]:
        """Return the names of all columns; those wanted must be among them."""
        try:
            names = _next(reader) or []
        except csv.Error as error:
            raise ValueError(f"{file}: its first line is not CSV ({error}); it must name the columns") from error
        for column in columns:
            require_column(str(file), column, names)
        return names


def _next(reader: Any) -> list[str] | None:
    """Return the next row, however long its values are, or None at the end."""
    # A value longer than the limit would be an error in its middle, and its rest be taken for rows. The limit is one
    # for the whole process, so it is put back at once.
    limit = csv.field_size_limit(LONGEST_VALUE_CHARACTERS)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit)


def _fault(values: list[str], names: list[str]) -> str:
    """Return why a row cannot be used, or nothing; an empty line is no row and has no fault."""
    if values and len(values) != len(names):
        return f"{'more' if len(values) > len(names) else 'fewer'} values than columns"
    if any(not each.isascii() and each != each.encode("utf-8", "replace").decode() for each in values):
        return "not UTF-8"
    return ""
