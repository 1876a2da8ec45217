"""What the columns of a Parquet file grow to once they are unpacked, told without unpacking them.

The end of a file tells sizes, but its pages need not agree with it, and what a page says of itself is what is allotted.
So the headers of the pages are read here, and the end of the file too, because pyarrow 25 ends the process over some
that are damaged. The layout is of https://parquet.apache.org/docs/file-format, in the compact protocol of Thrift.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from lm_modules.data.inputs.damage import RefusedError
from lm_modules.data.inputs.thrift import Struct, read_struct

HEADER_BYTES = (1 << 10, 1 << 16, 16 << 20)
"""Read one after the other, until a header ends; the smallest and the largest value of a page can stand in it."""
BYTE_ARRAY = 6
DICTIONARY_PAGE = 2
DELTA_BYTE_ARRAY = 7
DAMAGED = "damaged, or no parquet file"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column of a row group, as the end of the file tells it."""

    name: str
    is_bytes: bool
    start: int
    packed_bytes: int
    unpacked_bytes: int


class RowGroup(NamedTuple):
    """Rows that are stored together; bytes are without compression, for all columns."""

    num_bytes: int
    num_rows: int
    chunks: list[Chunk]


class Growth(NamedTuple):
    """What the pages of a chunk grow to."""

    num_bytes: int
    has_dictionary: bool
    """Its first page holds values that may stand in many rows though the file has them once."""
    most_shared_bytes: int
    """Longest such value there can be other than in the first page."""


def row_groups(binary: BinaryIO) -> list[RowGroup]:
    """Return the row groups of a file."""
    try:
        binary.seek(-8, 2)
        end = binary.tell()
        (length,) = struct.unpack("<I", binary.read(4))
        binary.seek(end - length)
        footer, _ = read_struct(binary.read(length))
        return [
            RowGroup(int(each[2]), int(each[3]), [_chunk(chunk[3]) for chunk in each[1]])
            for each in footer.get(4) or []
        ]
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise RefusedError(DAMAGED, f"its end cannot be read: {error!r}") from error


def _chunk(about: Struct) -> Chunk:
    path = b".".join(about[3]).decode("utf-8", "replace")
    starts = [int(about[field]) for field in (9, 11) if about.get(field)]
    return Chunk(path, about[1] == BYTE_ARRAY, min(starts, default=0), int(about[7]), int(about[6]))


def growth(binary: BinaryIO, chunk: Chunk) -> Growth:
    """Return what a chunk grows to. Where a header makes no sense the rest is left to the reader, which stops there."""
    num_bytes = shared = 0
    has_dictionary = False
    for index, (unpacked, page) in enumerate(_pages(binary, chunk)):
        num_bytes += unpacked
        if page.get(1) == DICTIONARY_PAGE and index == 0:
            has_dictionary = True
        elif page.get(1) == DICTIONARY_PAGE or DELTA_BYTE_ARRAY in (_field(page, 5, 2), _field(page, 8, 4)):
            # in that encoding a value is the one before, as far as a number tells, and what differs
            shared = max(shared, unpacked)
    return Growth(max(num_bytes, chunk.unpacked_bytes), has_dictionary, shared)


def _field(page: Struct, outer: int, inner: int) -> Any:
    header = page.get(outer)
    return header.get(inner) if isinstance(header, dict) else None


def _pages(binary: BinaryIO, chunk: Chunk) -> Iterator[tuple[int, Struct]]:
    place, end = chunk.start, chunk.start + chunk.packed_bytes
    while 0 <= place < end:
        binary.seek(place)
        data = b""
        for most_bytes in HEADER_BYTES:
            data += binary.read(most_bytes)
            try:
                page, header_bytes = read_struct(data)
                break
            except IndexError:
                continue
            except ValueError:
                return
        else:
            return
        unpacked, packed = page.get(2), page.get(3)
        if not isinstance(unpacked, int) or not isinstance(packed, int) or min(unpacked, packed) < 0:
            return
        yield unpacked, page
        place += header_bytes + packed
