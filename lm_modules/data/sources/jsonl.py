"""JSON Lines: one object a line, its text in a field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import ClassVar, Literal

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.damage import DAMAGE
from lm_modules.data.inputs.encodings import Encoding
from lm_modules.data.inputs.file_source import MOST_FILES_CHECKED, FileSource
from lm_modules.data.inputs.files import InputFile
from lm_modules.data.inputs.groups import group_of
from lm_modules.data.inputs.lines import lines_of, text_line_ranges
from lm_modules.data.inputs.parts import Part, Range
from lm_modules.data.inputs.streams import Stream, opened, streams
from lm_modules.data.json_lines import FieldsFound, json_rows


class Jsonl(FileSource):
    """Objects of JSON Lines files (https://jsonlines.org); a bad line is set aside with its file and number."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    kind: Literal["jsonl"] = "jsonl"
    text_field: str = "text"
    """The field that holds the text."""
    group_field: str | None = None
    """A field; documents with the same value stay in the same split, and those without a value stand alone."""
    encoding: Encoding = None

    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield one document a line."""
        found = self._fields(stream)
        lines = lines_of(stream.binary, self.encoding, self.max_document_bytes, part)
        for each in json_rows(self.name or self.kind, lines, found):
            if isinstance(each, Unreadable):
                yield each
            else:
                number, row = each
                group = group_of(row.get(self.group_field)) if self.group_field else None
                yield self.document(f"{stream.name}:{number}", row[self.text_field], group)
        # a file with no object at all is set aside line by line; one whose objects are others is a wrong setting
        if part.end is None and found.seen:
            found.require()

    def ranges(self, file: InputFile, part_bytes: int) -> Iterable[Range]:
        """Return ranges of whole lines, of which no one can tell whether the file has a field."""
        self._require_fields(file)
        with opened(file) as stream:
            return list(text_line_ranges(stream, self.encoding, part_bytes))

    def check(self) -> None:
        """Raise a ValueError as every source of files does; also if no line has the field for groups."""
        super().check()
        for file in self.files()[:MOST_FILES_CHECKED]:
            if not file.problem:
                self._require_fields(file)

    def _require_fields(self, file: InputFile) -> None:
        """Read on from the beginning until some line has each field; a ValueError if none has."""
        with suppress(*DAMAGE):
            for stream in streams(file, self.wanted, self.max_expansion):
                found = self._fields(stream)
                lines = lines_of(stream.binary, self.encoding, self.max_document_bytes, Part())
                if any(not found.missing for _ in json_rows(self.name or self.kind, lines, found)):
                    continue
                if found.seen:
                    found.require()

    def _fields(self, stream: Stream) -> FieldsFound:
        fields = (self.text_field, self.group_field) if self.group_field else (self.text_field,)
        return FieldsFound(stream.place, fields, always=(self.text_field,), strings=(self.text_field,))
