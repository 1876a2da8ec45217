"""Thrift's compact protocol, in which Parquet tells about itself.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

Struct = dict[int, Any]
"""Values by the numbers of their fields."""
DEEPEST = 32
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
WHOLE_NUMBERS = (4, 5, 6)


def read_struct(data: bytes) -> tuple[Struct, int]:
    """Return the struct at the beginning and where it ends; an IndexError if it does not, a ValueError if none is."""
    reader = _Reader(data)
    return reader.struct(0), reader.place


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.place = data, 0

    def struct(self, depth: int) -> Struct:
        if depth > DEEPEST:
            raise ValueError("too many structs in one another")
        found: Struct = {}
        field = 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.zigzag()
            kind = head & 15
            found[field] = kind == TRUE if kind in (TRUE, FALSE) else self.value(kind, depth)
        return found

    def value(self, kind: int, depth: int) -> Any:
        if kind in WHOLE_NUMBERS:
            return self.zigzag()
        if kind == BINARY:
            return self.taken(self.varint())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.varint()
            return [self.value(head & 15, depth + 1) for _ in range(count)]
        if kind in (TRUE, FALSE, BYTE):
            return self.byte()
        if kind == DOUBLE:
            return self.taken(8)
        if kind == MAP:
            count = self.varint()
            kinds = self.byte() if count else 0
            return [(self.value(kinds >> 4, depth + 1), self.value(kinds & 15, depth + 1)) for _ in range(count)]
        raise ValueError(f"no kind of value: {kind}")

    def byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

    def taken(self, count: int) -> bytes:
        if self.place + count > len(self.data):
            raise IndexError("it ends too soon")
        self.place += count
        return self.data[self.place - count : self.place]

    def varint(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("no number")

    def zigzag(self) -> int:
        value = self.varint()
        return value >> 1 ^ -(value & 1)
