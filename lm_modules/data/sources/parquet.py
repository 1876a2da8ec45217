"""Parquet tables: one row a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, Literal

from lm_modules.data.inputs.table_source import TableSource
from lm_modules.data.inputs.tables import rows_at_once


class Parquet(TableSource):
    """Rows of Parquet files (https://parquet.apache.org); a row whose text is null is set aside with its number."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    kind: Literal["parquet"] = "parquet"

    def opened_table(self, binary: BinaryIO) -> tuple[Any, list[str]]:
        """Return an open file; only its end is read."""
        import pyarrow.parquet

        table = pyarrow.parquet.ParquetFile(binary)
        return table, table.schema_arrow.names

    def blocks(self, table: Any) -> Iterator[tuple[int, int]]:
        """Yield the sizes of the row groups."""
        for index in range(table.num_row_groups):
            group = table.metadata.row_group(index)
            yield group.total_byte_size, group.num_rows

    def batches(self, table: Any, columns: list[str], start: int, end: int | None) -> Iterator[Any]:
        """Yield some megabytes of rows at once."""
        sizes = list(self.blocks(table))
        for index in range(start, len(sizes) if end is None else end):
            yield from table.iter_batches(rows_at_once(*sizes[index]), row_groups=[index], columns=columns)
