"""Where the batches of Arrow's files lie, and how large they are once they are unpacked, told without unpacking them.

A column of a batch may be compressed, and begins with its size before that. Arrow allots that size, whatever it is. So
it is looked up before: https://arrow.apache.org/docs/format/Columnar.html#format-ipc and
https://flatbuffers.dev/internals.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from lm_modules.data.inputs.damage import RefusedError

MAGIC = b"ARROW1"
MOST_METADATA_BYTES = 16 << 20
CONTINUED = 0xFFFFFFFF
DICTIONARY_BATCH, RECORD_BATCH = 2, 3
DICTIONARIES, RECORD_BATCHES = 2, 3
"""Slots of the table at the end of a file."""


class Place(NamedTuple):
    """Where a message lies: what tells about its body, and behind that the body."""

    start: int
    about_bytes: int
    body_bytes: int

    @property
    def end(self) -> int:
        """Where the next may begin."""
        return self.start + self.about_bytes + self.body_bytes


class Column(NamedTuple):
    """How many buffers a column has in every batch, and how many views, of which each has more."""

    num_buffers: int
    num_views: int


class Message(NamedTuple):
    """Bytes of a batch as they lie in the file and as they are in memory, and its rows; all 0 if it is no batch."""

    kind: int
    end: int
    num_rows: int = 0
    packed: int = 0
    unpacked: int = 0


def places(binary: BinaryIO, slot: int) -> list[Place]:
    """Return where the batches, or the dictionaries, of a file lie, by its end."""
    try:
        binary.seek(-10, 2)
        end = binary.tell()
        (length,) = struct.unpack("<i", binary.read(4))
        binary.seek(end - length)
        data = _Flat(binary.read(length))
        return [Place(*each) for each in data.structs(data.root(), slot, "<qi4xq")]
    except (struct.error, ValueError, OSError) as error:
        raise RefusedError("damaged: its end cannot be read", str(error)) from error


def in_order(before: Place | None, place: Place) -> None:
    """Raise `RefusedError` if a place does not lie behind the one before: they are written one after the other."""
    if min(place) < 0 or (before and before.end > place.start):
        raise RefusedError("damaged: batches that overlap", f"byte {place.start}")


def layout(kind: Any) -> Column:
    """Return what buffers a column of an Arrow type has, from an empty one."""
    import pyarrow as arrow

    empty = arrow.record_batch([arrow.nulls(0, kind)], names=["x"]).serialize()
    data, _ = _about(io.BytesIO(empty), 0)
    batch = data.table(data.root(), 2)
    return Column(*(len(list(data.structs(batch, slot, form))) for slot, form in ((2, "<qq"), (4, "<q"))))


def message(
    binary: BinaryIO, place: Place | int, columns: Sequence[Column] = (), wanted: Container[int] = ()
) -> Message | None:
    """Return the message at a place, only the `wanted` of its columns counted; None at the end of a stream.

    Of a dictionary all is counted. `RefusedError` if it cannot be read.
    """
    start = place if isinstance(place, int) else place.start
    try:
        data, body = _about(binary, start)
        if not data.data:
            return None
        body = body if isinstance(place, int) else start + place.about_bytes
        table = data.root()
        kind, header = data.number(table, 1, "<B"), data.table(table, 2)
        end = body + data.number(table, 3, "<q")
        if end < body:
            raise ValueError("a body of less than nothing")
        if kind not in (DICTIONARY_BATCH, RECORD_BATCH):
            return Message(kind, end)
        batch = data.table(header, 1) if kind == DICTIONARY_BATCH else header
        buffers = list(data.structs(batch, 2, "<qq"))
        if kind == RECORD_BATCH:
            buffers = _wanted(buffers, [each for (each,) in data.structs(batch, 4, "<q")], columns, wanted)
        is_packed, unpacked = data.table(batch, 3), 0
        for offset, num_bytes in buffers:
            before = -1
            if is_packed and num_bytes >= 8:
                binary.seek(body + offset)
                (before,) = struct.unpack("<q", binary.read(8))
            unpacked += before if before >= 0 else num_bytes
        packed = sum(max(num_bytes, 0) for _, num_bytes in buffers)
        return Message(kind, end, max(data.number(batch, 0, "<q"), 0), packed, unpacked)
    except (struct.error, ValueError, OSError, OverflowError) as error:
        raise RefusedError("damaged: a batch that cannot be read", f"{error} (byte {start})") from error


def _about(binary: BinaryIO, start: int) -> tuple[_Flat, int]:
    """Return what tells about a message, and where that ends; nothing at the end of a stream."""
    binary.seek(start)
    head = binary.read(4)
    if head == struct.pack("<I", CONTINUED):
        head = binary.read(4)
    length = struct.unpack("<I", head)[0] if head else 0
    if length > MOST_METADATA_BYTES:
        raise ValueError(f"{length} bytes that tell about it")
    return _Flat(binary.read(length)), binary.tell()


def _wanted(
    buffers: list[tuple[int, ...]], views: list[int], columns: Sequence[Column], wanted: Container[int]
) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    left, views_left = iter(buffers), iter(views)
    for number, column in enumerate(columns):
        more = sum(islice(views_left, column.num_views))
        own = list(islice(left, column.num_buffers + more))
        found += own if number in wanted else []
    return found


class _Flat:
    """Reads a flatbuffer; `struct.error` where it points out of itself."""

    def __init__(self, data: bytes):
        self.data = data

    def at(self, place: int, form: str) -> int:
        if place < 0:
            raise struct.error("out of the buffer")
        return int(struct.unpack_from(form, self.data, place)[0])

    def root(self) -> int:
        return self.at(0, "<I")

    def field(self, table: int, slot: int) -> int:
        """Return where a field of a table lies, 0 if it is not there."""
        slots = table - self.at(table, "<i")
        if 4 + 2 * slot >= self.at(slots, "<H"):
            return 0
        offset = self.at(slots + 4 + 2 * slot, "<H")
        return table + offset if offset else 0

    def number(self, table: int, slot: int, form: str) -> int:
        place = self.field(table, slot)
        return self.at(place, form) if place else 0

    def table(self, table: int, slot: int) -> int:
        place = self.field(table, slot)
        return place + self.at(place, "<I") if place else 0

    def structs(self, table: int, slot: int, form: str) -> Iterator[tuple[int, ...]]:
        place = self.table(table, slot)
        if not place:
            return
        for number in range(self.at(place, "<I")):
            yield struct.unpack_from(form, self.data, place + 4 + number * struct.calcsize(form))
