"""Parquet tables: one row a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Literal

from lm_modules.data.inputs.compression import Guard
from lm_modules.data.inputs.damage import RefusedError
from lm_modules.data.inputs.parquet_pages import growth
from lm_modules.data.inputs.table_source import Block, TableSource
from lm_modules.data.inputs.tables import BYTES_READ_AT_ONCE, rows_at_once

READ_AT_ONCE = 1 << 18
"""Without a size all of a column in a row group would be read and held, though its first page alone is wanted."""
MAGIC_BYTES = 4


@dataclass
class OpenTable:
    """An open Parquet file, its bytes, and the numbers of the columns that are wanted, or of their leaves."""

    file: Any
    binary: BinaryIO
    columns: list[int]


class Parquet(TableSource):
    """Rows of Parquet files (https://parquet.apache.org); a row whose text is null is set aside with its number."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    kind: Literal["parquet"] = "parquet"

    def opened_table(self, binary: BinaryIO) -> tuple[OpenTable, list[str]]:
        """Return an open file; only its end is read."""
        import pyarrow.parquet

        file = pyarrow.parquet.ParquetFile(binary, buffer_size=READ_AT_ONCE)
        paths = [file.schema.column(index).path for index in range(len(file.schema))]
        # the path of a leaf begins with its column, and a column's name may have dots too
        of_columns = tuple(f"{name}." for name in self.columns())
        wanted = [index for index, path in enumerate(paths) if f"{path}.".startswith(of_columns)]
        return OpenTable(file, binary, wanted), file.schema_arrow.names

    def num_blocks(self, table: OpenTable) -> int:
        """Return how many row groups there are."""
        return int(table.file.metadata.num_row_groups)

    def block(self, table: OpenTable, index: int) -> Block:
        """Return the size of a row group."""
        group = table.file.metadata.row_group(index)
        return Block(group.total_byte_size, max(group.num_rows, 0))

    def batches(self, table: OpenTable, index: int) -> Iterator[tuple[Any, int]]:
        """Yield some megabytes of rows at once."""
        num_rows = self.block(table, index).num_rows or 0
        if not num_rows:
            return
        chunks = _chunks(table, index)
        growths = [growth(table.binary, *_place(chunk)) for chunk in chunks]
        packed_bytes = sum(chunk.total_compressed_size for chunk in chunks)
        num_bytes = sum(each.num_bytes for each in growths)
        Guard(self.max_expansion).count(num_bytes, packed_bytes)
        # few bytes of the file may be many values
        leaves = [table.file.schema.column(each) for each in table.columns]
        shared = [
            leaf.path
            for leaf, each in zip(leaves, growths, strict=True)
            if each.has_dictionary and leaf.physical_type == "BYTE_ARRAY"
        ]
        longest = max([_longest(table, index, shared), *(each.most_shared_bytes for each in growths)])
        at_once = min(rows_at_once(num_bytes, num_rows), max(1, BYTES_READ_AT_ONCE // max(longest, 1)))
        for batch in table.file.reader.iter_batches(at_once, [index], table.columns):
            yield batch, packed_bytes


def _chunks(table: OpenTable, index: int) -> list[Any]:
    """Return what the file tells of the wanted columns in a row group, each in its own place of the file.

    Row groups are written one after the other, so one that begins before the last one ends is none.
    """
    metadata, end = table.file.metadata, MAGIC_BYTES
    before = next((each for each in reversed(range(index)) if metadata.row_group(each).num_rows > 0), index)
    for number in sorted({before, index}):
        # opened first, for `column` ends the process over what it cannot read (pyarrow 25)
        next(table.file.reader.iter_batches(0, [number], table.columns), None)
        group = metadata.row_group(number)
        chunks = [group.column(each) for each in table.columns]
        for start, chunk_end in sorted(map(_place, chunks)):
            if not end <= start <= chunk_end <= table.binary.seek(0, 2):
                raise RefusedError("damaged: columns that overlap, or lie out of the file", f"byte {start}")
            end = chunk_end
    return chunks


def _place(chunk: Any) -> tuple[int, int]:
    """Return where the pages of a column in a row group begin and end."""
    start = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
    return start, start + chunk.total_compressed_size


def _longest(table: OpenTable, index: int, columns: list[str]) -> int:
    """Return the bytes of the longest value in the dictionaries of columns, which may stand in every row."""
    import pyarrow.compute
    import pyarrow.parquet

    if not columns:
        return 0
    # all rows read so would hold, and give anew with each batch, every different value of the group
    file = pyarrow.parquet.ParquetFile(
        table.binary, metadata=table.file.metadata, read_dictionary=columns, buffer_size=READ_AT_ONCE
    )
    first = next(file.reader.iter_batches(1, [index], table.columns), None)
    longest = 0
    for column in first.columns if first else ():
        if pyarrow.types.is_dictionary(column.type):
            lengths = pyarrow.compute.binary_length(column.dictionary)
            longest = max(longest, pyarrow.compute.max(lengths).as_py() or 0)
    return int(longest)
