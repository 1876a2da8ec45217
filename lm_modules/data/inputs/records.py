"""Records of comma-separated values: one by one, with the lines and bytes that each takes, none beyond a bound."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import NamedTuple

from lm_modules.data.inputs.damage import TOO_LONG
from lm_modules.data.inputs.lines import Line

LONGEST_VALUE_CHARACTERS = 2**31 - 1


class Record(NamedTuple):
    """The values of a row, or None with the problem; `end` is where it ends, in bytes from where the lines began."""

    first_line: int
    last_line: int
    end: int
    values: list[str] | None
    problem: str = ""


class Records:
    """The records of lines, as RFC 4180 has them written. Bytes that are not UTF-8 become lone surrogates."""

    def __init__(self, lines: Iterator[Line], first: int, delimiter: str, quotes: bool, max_bytes: int | None):
        self.feed = _Feed(lines, first, max_bytes)
        self.reader = csv.reader(
            self.feed,
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
            strict=True,
        )

    def __iter__(self) -> Iterator[Record]:
        while True:
            first = self.feed.next_line
            self.feed.record_bytes = 0
            values, problem = self._next()
            if values is None and not problem:
                return
            yield Record(first, self.feed.next_line - 1, self.feed.num_bytes, values, problem)

    def _next(self) -> tuple[list[str] | None, str]:
        # The limit is one for the whole process, so it is put back at once.
        limit = csv.field_size_limit(LONGEST_VALUE_CHARACTERS)
        try:
            return next(self.reader, None), ""
        except csv.Error as error:
            return None, f"not CSV: {error} (is a quote missing, or text?)"
        except _TooLongError:
            return None, f"{TOO_LONG} (is a quote never closed?)"
        finally:
            csv.field_size_limit(limit)


class _TooLongError(Exception):
    """A record does not end within the bound."""


class _Feed:
    """The lines as the reader takes them. (A generator would end with the first error.)"""

    def __init__(self, lines: Iterator[Line], first: int, max_bytes: int | None):
        self.lines, self.next_line, self.max_bytes = lines, first, max_bytes
        self.num_bytes = self.record_bytes = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.next_line = line.number + 1
        self.num_bytes += line.num_bytes
        self.record_bytes += line.num_bytes
        if line.too_long or (self.max_bytes is not None and self.record_bytes > self.max_bytes):
            raise _TooLongError
        return line.data.decode("utf-8", "surrogateescape")
