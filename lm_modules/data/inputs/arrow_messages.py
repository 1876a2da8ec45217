"""How large the messages of Arrow's files are once they are unpacked, told without unpacking them.

A column of a batch may be compressed, and begins with its size before that. Arrow allots that size, whatever it is. So
it is looked up before: https://arrow.apache.org/docs/format/Columnar.html#format-ipc and
https://flatbuffers.dev/internals.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MAGIC = b"ARROW1"
MOST_METADATA_BYTES = 16 << 20
CONTINUED = 0xFFFFFFFF
DICTIONARY_BATCH, RECORD_BATCH = 2, 3


class Size(NamedTuple):
    """Bytes of a batch as they lie in the file, and as they are in memory."""

    packed: int
    unpacked: int


def batch_sizes(binary: BinaryIO) -> Iterator[Size]:
    """Yield the sizes of the batches as far as the file makes sense, those that its end names if there is one.

    What is damaged beyond that is for Arrow to find.
    """
    try:
        if binary.read(len(MAGIC)) != MAGIC:
            binary.seek(-len(MAGIC), 1)
            yield from _following(binary)
        else:
            for place in _blocks(binary):
                binary.seek(place)
                yield from (size for size, _ in _message(binary) if size)
    except (struct.error, ValueError, OSError, OverflowError):
        return


def _following(binary: BinaryIO) -> Iterator[Size]:
    place = binary.tell()
    while True:
        binary.seek(place)
        found = list(_message(binary))
        if not found:
            return
        ((size, place),) = found
        if size:
            yield size


def _message(binary: BinaryIO) -> Iterator[tuple[Size | None, int]]:
    """Yield the size of the message at hand, None if it is no batch, and where the next begins; nothing at the end."""
    (length,) = struct.unpack("<I", binary.read(4))
    if length == CONTINUED:
        (length,) = struct.unpack("<I", binary.read(4))
    if not 0 < length <= MOST_METADATA_BYTES:
        return
    data = _Flat(binary.read(length))
    body = binary.tell()
    message = data.root()
    body_bytes = data.number(message, 3, "<q")
    kind, header = data.number(message, 1, "<B"), data.table(message, 2)
    if kind == DICTIONARY_BATCH and header:
        header = data.table(header, 1)
    size = None
    if kind in (DICTIONARY_BATCH, RECORD_BATCH) and header:
        packed = unpacked = 0
        for offset, num_bytes in data.pairs(header, 2):
            packed += max(num_bytes, 0)
            before = num_bytes
            if data.table(header, 3) and num_bytes >= 8:
                binary.seek(body + offset)
                (before,) = struct.unpack("<q", binary.read(8))
            unpacked += before if before >= 0 else num_bytes
        size = Size(packed, unpacked)
    yield size, body + max(body_bytes, 0)


def _blocks(binary: BinaryIO) -> list[int]:
    """Return where the batches of a file lie, by its end."""
    binary.seek(-10, 2)
    end = binary.tell()
    (length,) = struct.unpack("<i", binary.read(4))
    binary.seek(end - length)
    data = _Flat(binary.read(length))
    footer = data.root()
    return [place for slot in (2, 3) for place, *_ in data.structs(footer, slot, "<qi4xq")]


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

    def pairs(self, table: int, slot: int) -> Iterator[tuple[int, ...]]:
        return self.structs(table, slot, "<qq")
