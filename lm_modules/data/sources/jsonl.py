"""JSON Lines: one object a line, its text in a field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.encodings import Encoding
from lm_modules.data.inputs.file_source import FileSource
from lm_modules.data.inputs.files import InputFile
from lm_modules.data.inputs.groups import group_of
from lm_modules.data.inputs.lines import lines_of, text_line_ranges
from lm_modules.data.inputs.parts import Part, Range
from lm_modules.data.inputs.streams import Stream, opened
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
        fields = (self.text_field, self.group_field) if self.group_field else (self.text_field,)
        found = FieldsFound(stream.place, fields, always=(self.text_field,), strings=(self.text_field,))
        lines = lines_of(stream.binary, self.encoding, self.max_document_bytes, part)
        for each in json_rows(self.name or self.kind, lines, found):
            if isinstance(each, Unreadable):
                yield each
            else:
                number, row = each
                group = group_of(row.get(self.group_field)) if self.group_field else None
                yield self.document(f"{stream.name}:{number}", row[self.text_field], group)
        if part.end is None:
            # a file with no object at all is set aside line by line; one whose objects are others is a wrong setting
            if found.seen:
                found.require()
        elif found.missing:
            # the lines of other parts may have the field; if none has, this raises
            whole = self.file_documents(part.files[0], Part())
            next((each for each in whole if isinstance(each, Document)), None)

    def ranges(self, file: InputFile, part_bytes: int) -> Iterable[Range]:
        """Return ranges of whole lines."""
        with opened(file) as stream:
            return list(text_line_ranges(stream, self.encoding, part_bytes))
