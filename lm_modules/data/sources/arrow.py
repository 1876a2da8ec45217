"""Arrow tables: one row a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Literal

from lm_modules.data.inputs.arrow_messages import (
    DICTIONARIES,
    MAGIC,
    RECORD_BATCH,
    RECORD_BATCHES,
    Column,
    Message,
    Place,
    in_order,
    layout,
    message,
    places,
)
from lm_modules.data.inputs.compression import Guard
from lm_modules.data.inputs.damage import RefusedError
from lm_modules.data.inputs.table_source import Block, TableSource
from lm_modules.data.inputs.tables import MOST_ROWS_READ_AT_ONCE, bounded, validated


@dataclass
class OpenTable:
    """An open Arrow file or stream, its bytes, what its columns are made of, and the numbers of the wanted ones."""

    file: Any
    binary: BinaryIO
    start: int
    columns: list[Column]
    wanted: list[int]
    places: list[Place] | None
    """Of the batches; None in a stream, which does not tell."""


class Arrow(TableSource):
    """Rows of Arrow files (https://arrow.apache.org/docs/format/Columnar.html), in the file format (also called
    Feather 2) or the stream format, which `datasets` writes; a row whose text is null is set aside with its number."""

    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc")

    kind: Literal["arrow"] = "arrow"

    def opened_table(self, binary: BinaryIO) -> tuple[OpenTable, list[str]]:
        """Return an open file or stream; of other columns than those that are wanted nothing is read."""
        import pyarrow as arrow

        start = binary.tell()
        is_file = binary.read(len(MAGIC)) == MAGIC
        opened = arrow.ipc.open_file if is_file else arrow.ipc.open_stream
        binary.seek(start)
        schema = opened(binary).schema
        wanted = [number for number, name in enumerate(schema.names) if name in self.columns()]
        binary.seek(start)
        lying = places(binary, RECORD_BATCHES) if is_file else None
        if is_file:
            self._judge_dictionaries(binary)
        own = bounded(binary)
        own.seek(start)
        file = opened(own, options=arrow.ipc.IpcReadOptions(included_fields=wanted))
        columns = [layout(kind) for kind in schema.types[: max(wanted, default=-1) + 1]]
        return OpenTable(file, binary, start, columns, wanted, lying), schema.names

    def _judge_dictionaries(self, binary: BinaryIO) -> None:
        guard, packed_bytes = Guard(self.max_expansion), 0
        before = None
        for place in places(binary, DICTIONARIES):
            in_order(before, place)
            before = place
            if about := message(binary, place):
                packed_bytes += about.packed
                guard.count(about.unpacked, packed_bytes)

    def num_blocks(self, table: OpenTable) -> int:
        """Return how many batches there are; a stream cannot be cut."""
        return 1 if table.places is None else len(table.places)

    def block(self, table: OpenTable, index: int) -> Block:
        """Return the size of a batch."""
        if table.places is None:
            return Block(0, None)
        try:
            about = message(table.binary, table.places[index])
        except RefusedError:
            about = None
        return Block(table.places[index].body_bytes, about.num_rows if about else 0)

    def batches(self, table: OpenTable, index: int) -> Iterator[tuple[Any, int]]:
        """Yield a batch of a file, or all of a stream, in smaller ones."""
        guard, packed_bytes = Guard(self.max_expansion), 0
        for about in _messages(table, index):
            packed_bytes += about.packed
            guard.count(about.unpacked, packed_bytes)
            if about.kind == RECORD_BATCH:
                batch = validated(next(table.file) if table.places is None else table.file.get_batch(index))
                for row in range(0, batch.num_rows, MOST_ROWS_READ_AT_ONCE):
                    yield batch.slice(row, MOST_ROWS_READ_AT_ONCE), packed_bytes


def _messages(table: OpenTable, index: int) -> Iterator[Message]:
    """Yield what the file tells of a batch, or a stream of all, each before it is read."""
    if table.places is None:
        place = table.start
        while about := message(table.binary, place, table.columns, table.wanted):
            yield about
            place = about.end
    else:
        in_order(table.places[index - 1] if index else None, table.places[index])
        about = message(table.binary, table.places[index], table.columns, table.wanted)
        if about is None or about.kind != RECORD_BATCH:
            raise RefusedError("damaged: no batch where one must lie")
        yield about
