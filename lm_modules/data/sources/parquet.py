"""Parquet tables: one row a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Literal

from lm_modules.data.inputs.compression import Guard
from lm_modules.data.inputs.damage import RefusedError
from lm_modules.data.inputs.parquet_pages import DAMAGED, RowGroup, growth, row_groups
from lm_modules.data.inputs.table_source import TableSource
from lm_modules.data.inputs.tables import BYTES_READ_AT_ONCE, rows_at_once

READ_FOR_DICTIONARY = 1 << 18
"""Only the first pages are wanted; without a size the whole column would be read."""


@dataclass
class OpenTable:
    """An open Parquet file, and its bytes."""

    file: Any
    binary: BinaryIO
    groups: list[RowGroup]


class Parquet(TableSource):
    """Rows of Parquet files (https://parquet.apache.org); a row whose text is null is set aside with its number."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    kind: Literal["parquet"] = "parquet"

    def opened_table(self, binary: BinaryIO) -> tuple[OpenTable, list[str]]:
        """Return an open file; only its end is read."""
        import pyarrow.parquet

        file = pyarrow.parquet.ParquetFile(binary)
        groups = row_groups(binary)
        if len(groups) != file.num_row_groups:
            raise RefusedError(DAMAGED, "its end cannot be read")
        return OpenTable(file, binary, groups), file.schema_arrow.names

    def blocks(self, table: OpenTable) -> Iterator[tuple[int, int]]:
        """Yield the sizes of the row groups."""
        for group in table.groups:
            yield group.num_bytes, group.num_rows

    def batches(self, table: OpenTable, columns: list[str], start: int, end: int | None) -> Iterator[tuple[Any, int]]:
        """Yield some megabytes of rows at once."""
        guard, packed_bytes = Guard(self.max_expansion), 0
        for index in range(start, len(table.groups) if end is None else end):
            group = table.groups[index]
            chunks = [each for each in group.chunks if each.name.partition(".")[0] in columns]
            growths = [growth(table.binary, each) for each in chunks]
            packed_bytes += sum(each.packed_bytes for each in chunks)
            num_bytes = sum(each.num_bytes for each in growths)
            guard.count(num_bytes, packed_bytes)
            # few bytes of the file may be many values
            longest = max((each.most_shared_bytes for each in growths), default=0)
            shared = [
                chunk.name
                for chunk, each in zip(chunks, growths, strict=True)
                if each.has_dictionary and chunk.is_bytes and chunk.name in columns
            ]
            longest = max(longest, self._longest(table, index, shared))
            num_rows = min(rows_at_once(num_bytes, group.num_rows), max(1, BYTES_READ_AT_ONCE // max(longest, 1)))
            for batch in table.file.iter_batches(num_rows, row_groups=[index], columns=columns):
                yield batch, packed_bytes

    def _longest(self, table: OpenTable, index: int, columns: list[str]) -> int:
        """Return the bytes of the longest value in the dictionaries of columns, which may stand in every row."""
        import pyarrow.compute
        import pyarrow.parquet

        if not columns:
            return 0
        # all rows read so would hold, and give anew with each batch, every different value of the group
        file = pyarrow.parquet.ParquetFile(
            table.binary,
            metadata=table.file.metadata,
            read_dictionary=columns,
            buffer_size=READ_FOR_DICTIONARY,
        )
        first = next(file.iter_batches(1, row_groups=[index], columns=columns), None)
        longest = 0
        for column in first.columns if first else ():
            if pyarrow.types.is_dictionary(column.type):
                lengths = pyarrow.compute.binary_length(column.dictionary)
                longest = max(longest, pyarrow.compute.max(lengths).as_py() or 0)
        return int(longest)
