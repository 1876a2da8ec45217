"""Parquet tables: one row a document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from configs.base import nearest
from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.sources import Source

SUFFIXES = (".parquet",)
ROWS_READ_AT_ONCE = 1000


class Parquet(Source):
    """Rows of Parquet files (https://parquet.apache.org); a row whose text is null is set aside with its number."""

    kind: Literal["parquet"] = "parquet"
    path: str
    """A file, a folder (its .parquet files) or a pattern."""
    text_field: str = "text"
    """The column that holds the text."""
    group_field: str | None = None
    """A column; documents with the same value stay in the same split."""

    def documents(self) -> Iterator[Document | Unreadable]:
        """Yield one document a row; memory holds a batch of rows."""
        for place, file in input_files(self.path, SUFFIXES).items():
            yield from self._file_documents(place, file)

    def _file_documents(self, place: str, file: Path) -> Iterator[Document | Unreadable]:
        name, number = self.name or self.kind, 0
        table, columns = self._table(file)
        for batch in table.iter_batches(ROWS_READ_AT_ONCE, columns=columns):
            for row in batch.to_pylist():
                number += 1
                text = row[self.text_field]
                if isinstance(text, str):
                    group = str(row[self.group_field]) if self.group_field else None
                    yield Document(f"{place}:{number}", text, name, group)
                else:
                    yield Unreadable(
                        name, str(file), number, f"column {self.text_field!r} is no string", repr(text)[:200]
                    )

    def check(self) -> None:
        """Raise a ValueError if there is no file, or a file is no Parquet file with the columns; reads no row."""
        for file in input_files(self.path, SUFFIXES).values():
            self._table(file)

    def _table(self, file: Path) -> tuple[Any, list[str]]:
        """Return an open file and the columns to read of it."""
        import pyarrow as arrow
        import pyarrow.parquet

        try:
            table = arrow.parquet.ParquetFile(file)
        except arrow.ArrowInvalid as error:
            raise ValueError(f"{file} is no Parquet file ({error}); correct the path") from error
        columns = [each for each in (self.text_field, self.group_field) if each]
        for column in columns:
            if column not in table.schema_arrow.names:
                raise ValueError(f"{file} has no column {column!r}{nearest(column, table.schema_arrow.names)}")
        return table, columns

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes."""
        return files_fingerprint(input_files(self.path, SUFFIXES))
