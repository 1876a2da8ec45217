"""What the pages of a Parquet column grow to once they are unpacked, told without unpacking them.

The end of a file tells sizes, but its pages need not agree with it, and what a page says of itself is what is allotted.
So the headers of the pages are looked at here, in the compact protocol of Thrift: a few numbers are read, and all else
is passed over. https://parquet.apache.org/docs/file-format and
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from lm_modules.data.inputs.damage import RefusedError

HEADER_BYTES = (1 << 10, 1 << 16, 16 << 20)
"""Read one after the other, until a header ends; the smallest and the largest value of a page can stand in it."""
MOST_VALUES, DEEPEST = 1000, 8
"""Of a header; the format has some thirty, three deep."""
KIND, UNPACKED, PACKED, ENCODING, ENCODING_2 = (1,), (2,), (3,), (5, 2), (8, 4)
WANTED = frozenset({KIND, UNPACKED, PACKED, ENCODING, ENCODING_2})
"""By the numbers of their fields, from the outermost; all are of 32 bits."""
DICTIONARY_PAGE = 2
DELTA_BYTE_ARRAY = 7
TRUE, FALSE, BYTE, INT_16, INT_32, INT_64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
Path = tuple[int, ...]


class Growth(NamedTuple):
    """What the pages of a column in a row group grow to."""

    num_bytes: int
    has_dictionary: bool
    """Its first page holds values that may stand in many rows though the file has them once."""
    most_shared_bytes: int
    """Longest such value there can be other than in the first page."""


def growth(binary: BinaryIO, start: int, end: int) -> Growth:
    """Return what the pages between two places grow to; `RefusedError` for a header that readers differ about."""
    num_bytes = shared = 0
    has_dictionary = False
    for index, page in enumerate(_pages(binary, start, end)):
        num_bytes += page[UNPACKED]
        if page.get(KIND) == DICTIONARY_PAGE and index == 0:
            has_dictionary = True
        elif page.get(KIND) == DICTIONARY_PAGE or DELTA_BYTE_ARRAY in (page.get(ENCODING), page.get(ENCODING_2)):
            # in that encoding a value is the one before, as far as a number tells, and what differs
            shared = max(shared, page[UNPACKED])
    return Growth(num_bytes, has_dictionary, shared)


def _pages(binary: BinaryIO, place: int, end: int) -> Iterator[dict[Path, int]]:
    while place < end:
        binary.seek(place)
        data, header = b"", None
        for most_bytes in HEADER_BYTES:
            data += binary.read(most_bytes)
            try:
                header = _Header(data)
                break
            except IndexError:
                continue
            except ValueError as error:
                raise _damaged(place, str(error)) from error
        if header is None or min(header.found.get(UNPACKED, -1), header.found.get(PACKED, -1)) < 0:
            raise _damaged(place, "without an end, or sizes")
        yield header.found
        place += header.place + header.found[PACKED]


def _damaged(place: int, what: str) -> RefusedError:
    return RefusedError("damaged: a page with a header that cannot be read", f"{what} (byte {place})")


class _Header:
    """Reads a struct: an IndexError if it does not end, a ValueError if a reader could take it for another."""

    def __init__(self, data: bytes):
        self.data, self.place, self.num_values = data, 0, 0
        self.found: dict[Path, int] = {}
        self.struct(())

    def struct(self, path: Path) -> None:
        field = 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.zigzag()
            # beyond these bounds readers differ in what field it is
            if not 0 < field < 1 << 15:
                raise ValueError(f"field {field}")
            if head & 15 not in (TRUE, FALSE):
                self.value(head & 15, (*path, field))

    def value(self, kind: int, path: Path) -> None:
        self.num_values += 1
        if self.num_values > MOST_VALUES or len(path) > DEEPEST:
            raise ValueError("too many values, or too deep")
        if path in WANTED:
            if kind != INT_32 or path in self.found:
                raise ValueError(f"field {path} is told twice, or no number")
            self.found[path] = self.zigzag()
            if not -(1 << 31) <= self.found[path] < 1 << 31:
                raise ValueError(f"field {path} is {self.found[path]}")
        elif kind in (INT_16, INT_32, INT_64):
            self.varint()
        elif kind in (TRUE, FALSE, BYTE):
            self.skip(1)
        elif kind == DOUBLE:
            self.skip(8)
        elif kind == BINARY:
            self.skip(self.varint())
        elif kind == STRUCT:
            self.struct(path)
        elif kind in (LIST, SET):
            head = self.byte()
            self.values(head >> 4 if head >> 4 < 15 else self.varint(), (head & 15,), path)
        elif kind == MAP:
            count = self.varint()
            kinds = self.byte() if count else 0
            self.values(count, (kinds >> 4, kinds & 15), path)
        else:
            raise ValueError(f"no kind of value: {kind}")

    def values(self, count: int, kinds: Path, path: Path) -> None:
        for _ in range(count):
            for kind in kinds:
                self.value(kind, (*path, 0))

    def byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

    def skip(self, count: int) -> None:
        self.place += count
        if self.place > len(self.data):
            raise IndexError("it ends too soon")

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
