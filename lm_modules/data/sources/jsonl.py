"""JSON Lines: one object a line, its text in a field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.json_lines import json_lines
from lm_modules.data.sources import Source

SUFFIXES = (".jsonl", ".ndjson")


class Jsonl(Source):
    """Objects of JSON Lines files (https://jsonlines.org); a bad line is set aside with its file and number."""

    kind: Literal["jsonl"] = "jsonl"
    path: str
    """A file, a folder (its .jsonl and .ndjson files) or a pattern."""
    text_field: str = "text"
    """The field that holds the text."""
    group_field: str | None = None
    """A string field; documents with the same value stay in the same split."""

    def documents(self) -> Iterator[Document | Unreadable]:
        """Yield one document a line, in the order of the files."""
        name = self.name or self.kind
        for place, file in input_files(self.path, SUFFIXES).items():
            for line in self._lines(file):
                if isinstance(line, Unreadable):
                    yield line
                else:
                    number, row = line
                    group = row[self.group_field] if self.group_field else None
                    yield Document(f"{place}:{number}", row[self.text_field], name, group)

    def check(self) -> None:
        """Raise a ValueError if there is no file, or a file has not the fields; reads the first good line of each."""
        for file in input_files(self.path, SUFFIXES).values():
            next((line for line in self._lines(file) if not isinstance(line, Unreadable)), None)

    def _lines(self, file: Path) -> Iterator[tuple[int, dict[str, Any]] | Unreadable]:
        fields = (self.text_field, self.group_field) if self.group_field else (self.text_field,)
        return json_lines(self.name or self.kind, file, fields)

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes."""
        return files_fingerprint(input_files(self.path, SUFFIXES))
