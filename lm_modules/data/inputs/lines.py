"""The lines of a stream, numbered, none of them held if it is longer than a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from lm_modules.data.inputs.damage import DAMAGE, LostError, damage, detail
from lm_modules.data.inputs.encodings import in_utf8
from lm_modules.data.inputs.parts import Part

BYTES_SKIPPED_AT_ONCE = 1 << 20
EXCERPT_BYTES = 800


class Line(NamedTuple):
    """A line with its end. Of one that is too long `data` is only the beginning, and `num_bytes` tells its length."""

    number: int
    data: bytes
    num_bytes: int

    @property
    def too_long(self) -> bool:
        """Whether this is only the beginning."""
        return self.num_bytes > len(self.data)


def numbered_lines(
    stream: BinaryIO, max_bytes: int | None, first: int = 1, num_bytes: int | None = None
) -> Iterator[Line]:
    """Yield the lines from where the stream is, as far as `num_bytes` go; memory holds `max_bytes` at most."""
    number, left = first, num_bytes
    most = -1 if max_bytes is None else max_bytes + 1
    while left is None or left > 0:
        try:
            data = stream.readline(most)
            length = len(data)
            if length == most and not data.endswith(b"\n"):
                data = data[:EXCERPT_BYTES]
                while more := stream.readline(BYTES_SKIPPED_AT_ONCE):
                    length += len(more)
                    if more.endswith(b"\n"):
                        break
        except DAMAGE as error:
            reason = f"{damage(error)}; this line and all after it are lost"
            raise LostError(number, reason, detail(error)) from error
        if not data:
            return
        yield Line(number, data, length)
        number += 1
        if left is not None:
            left -= length


def lines_of(stream: BinaryIO, encoding: str | None, max_bytes: int | None, part: Part) -> Iterator[Line]:
    """Yield the lines of a stream of text, or those of the range of it that is the part."""
    if part.end is None:
        return numbered_lines(in_utf8(stream, encoding), max_bytes)
    stream.seek(part.start)
    return numbered_lines(stream, max_bytes, part.first, part.end - part.start)


def text_line_ranges(stream: BinaryIO, encoding: str | None, part_bytes: int) -> Iterator[tuple[int, int, int]]:
    """Yield the ranges of a file of text; none if its bytes are not those that `lines_of` reads."""
    if in_utf8(stream, encoding) is stream:
        yield from line_ranges(stream, part_bytes)


def line_ranges(stream: BinaryIO, part_bytes: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start, end, number of the first line) of ranges of about so many bytes that end where lines end."""
    start, number = stream.tell(), 1
    while True:
        end, num_lines, data = start, 0, b""
        while end - start < part_bytes and (data := stream.read(min(part_bytes, BYTES_SKIPPED_AT_ONCE))):
            end += len(data)
            num_lines += data.count(b"\n")
        while data and not data.endswith(b"\n") and (data := stream.readline(BYTES_SKIPPED_AT_ONCE)):
            end += len(data)
            num_lines += data.count(b"\n")
        if end == start:
            return
        yield start, end, number
        start, number = end, number + num_lines
