"""Arrow tables: one row a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, Literal

from lm_modules.data.inputs.arrow_messages import MAGIC, batch_sizes
from lm_modules.data.inputs.compression import Guard
from lm_modules.data.inputs.table_source import TableSource
from lm_modules.data.inputs.tables import MOST_ROWS_READ_AT_ONCE


class Arrow(TableSource):
    """Rows of Arrow files (https://arrow.apache.org/docs/format/Columnar.html), in the file format (also called
    Feather 2) or the stream format, which `datasets` writes; a row whose text is null is set aside with its number."""

    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc")

    kind: Literal["arrow"] = "arrow"

    def opened_table(self, binary: BinaryIO) -> tuple[Any, list[str]]:
        """Return an open file or stream."""
        import pyarrow as arrow

        start = binary.tell()
        head = binary.read(len(MAGIC))
        binary.seek(start)
        guard, packed_bytes = Guard(self.max_expansion), 0
        for size in batch_sizes(binary):
            packed_bytes += size.packed
            guard.count(size.unpacked, packed_bytes)
        binary.seek(start)
        table = arrow.ipc.open_file(binary) if head == MAGIC else arrow.ipc.open_stream(binary)
        return table, table.schema.names

    def blocks(self, table: Any) -> Iterator[tuple[int, int]]:
        """Yield the sizes of the batches; a stream cannot be cut."""
        for index in range(getattr(table, "num_record_batches", 0)):
            batch = table.get_batch(index)
            yield batch.get_total_buffer_size(), batch.num_rows

    def batches(self, table: Any, columns: list[str], start: int, end: int | None) -> Iterator[tuple[Any, int]]:
        """Yield the batches of the file, in smaller ones."""
        num_batches = getattr(table, "num_record_batches", None)
        if num_batches is None:
            found: Iterator[Any] = iter(table)
        else:
            found = (table.get_batch(index) for index in range(start, num_batches if end is None else end))
        num_bytes = 0
        for batch in found:
            wanted = batch.select(columns)
            num_bytes += wanted.get_total_buffer_size()
            for row in range(0, batch.num_rows, MOST_ROWS_READ_AT_ONCE):
                yield wanted.slice(row, MOST_ROWS_READ_AT_ONCE), num_bytes
