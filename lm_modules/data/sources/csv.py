"""Tables of comma- or tab-separated values: one row a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.compression import without_compression
from lm_modules.data.inputs.encodings import Encoding, in_utf8
from lm_modules.data.inputs.file_source import FileSource
from lm_modules.data.inputs.files import InputFile
from lm_modules.data.inputs.groups import group_of
from lm_modules.data.inputs.headers import require_column
from lm_modules.data.inputs.lines import Line, lines_of, numbered_lines
from lm_modules.data.inputs.parts import Part, Range
from lm_modules.data.inputs.records import Record, Records
from lm_modules.data.inputs.streams import Stream, opened


class Csv(FileSource):
    """Rows of CSV files (RFC 4180) whose first line names the columns; bad rows are set aside with their lines."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    kind: Literal["csv"] = "csv"
    text_field: str = "text"
    """The column that holds the text."""
    group_field: str | None = None
    """A column; documents with the same value stay in the same split, and those without a value stand alone."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """What stands between columns, a tab is written "\\t"; null takes a tab in .tsv files and a comma in others."""
    quotes: bool = True
    """Double quotes enclose a value; false takes them as text, as many tab-separated files do."""
    encoding: Encoding = None

    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield one document a row; an empty line is none."""
        if part.end is None:
            records = iter(self._records(numbered_lines(self._utf8(stream), self.max_document_bytes), stream.name))
            columns = self._columns(next(records, None), stream.place)
        else:
            head = iter(self._records(numbered_lines(self._utf8(stream), self.max_document_bytes), stream.name))
            columns = self._columns(next(head, None), stream.place)
            lines = lines_of(stream.binary, self.encoding, self.max_document_bytes, part)
            records = iter(self._records(lines, stream.name, part.first))
        for record in records:
            yield from self._documents(record, columns, stream)

    def _documents(self, record: Record, columns: list[str], stream: Stream) -> Iterator[Document | Unreadable]:
        values = record.values
        if reason := record.problem or _fault(values or [], columns):
            last = record.last_line if record.last_line > record.first_line else None
            excerpt = (self._delimiter(stream.name)).join(values or [])
            yield Unreadable(self.name or self.kind, stream.place, record.first_line, reason, excerpt, last)
        elif values:
            row = dict(zip(columns, values, strict=True))
            group = group_of(row[self.group_field]) if self.group_field else None
            yield self.document(f"{stream.name}:{record.first_line}", row[self.text_field], group)

    def _utf8(self, stream: Stream) -> Any:
        return in_utf8(stream.binary, self.encoding)

    def _records(self, lines: Iterator[Line], name: str, first: int = 1) -> Records:
        return Records(lines, first, self._delimiter(name), self.quotes, self.max_document_bytes)

    def _delimiter(self, name: str) -> str:
        return self.delimiter or ("\t" if without_compression(name).lower().endswith(".tsv") else ",")

    def _columns(self, header: Record | None, place: str) -> list[str]:
        if header is None:
            return []
        if header.problem:
            raise ValueError(f"{place}: its first line names no columns ({header.problem}); it must")
        columns = header.values or []
        for field in filter(None, (self.text_field, self.group_field)):
            require_column(place, field, columns)
        return columns

    def ranges(self, file: InputFile, part_bytes: int) -> Iterable[Range]:
        """Yield ranges of whole rows, the first of them without the names of the columns."""
        with opened(file) as stream:
            if in_utf8(stream, self.encoding) is not stream:
                return
            begin = stream.tell()
            records = iter(self._records(numbered_lines(stream, self.max_document_bytes), file.name))
            if (header := next(records, None)) is None:
                return
            start = end = begin + header.end
            first = header.last_line + 1
            for record in records:
                end = begin + record.end
                if end - start >= part_bytes:
                    yield start, end, first
                    start, first = end, record.last_line + 1
            if end > start:
                yield start, end, first


def _fault(values: list[str], columns: list[str]) -> str:
    """Return why a row cannot be used, or nothing; an empty line is no row and has no fault."""
    if values and len(values) != len(columns):
        return f"{'more' if len(values) > len(columns) else 'fewer'} values than columns"
    if any(not each.isascii() and each != each.encode("utf-8", "replace").decode() for each in values):
        return "not UTF-8"
    if any("\0" in each for each in values):
        return "no text: it holds NULs"
    return ""
