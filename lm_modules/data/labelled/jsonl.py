"""Labelled examples in JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.json_lines import json_lines
from lm_modules.data.labelled import Labelled

SUFFIXES = (".jsonl", ".ndjson")


class Jsonl(Labelled):
    """Objects of JSON Lines files (https://jsonlines.org) with a text and a label; bad lines are set aside."""

    kind: Literal["jsonl"] = "jsonl"
    path: str
    """A file, a folder or a pattern: for training, and for what has no path of its own below."""
    validation: str | None = None
    """Examples for validation; null holds out a share of `path`."""
    test: str | None = None
    """Examples for the test; null holds out a share of `path`."""
    text_field: str = "text"
    """The field that holds the text."""
    label_field: str = "label"
    """The field that holds the label, a string or a whole number."""
    group_field: str | None = None
    """A string field; examples with the same value stay in the same split."""

    def examples(self) -> Iterator[Example | Unreadable]:
        """Yield one example a line."""
        for split, path in given_paths(self.path, self.validation, self.test):
            for file in input_files(path, SUFFIXES):
                yield from self._file_examples(file, split)

    def _file_examples(self, file: Path, split: str | None) -> Iterator[Example | Unreadable]:
        fields = tuple(filter(None, (self.text_field, self.label_field, self.group_field)))
        for line in json_lines(self.kind, file, fields, numbers_too=(self.label_field,)):
            if isinstance(line, Unreadable):
                yield line
                continue
            number, row = line
            group = row[self.group_field] if self.group_field else None
            yield Example(f"{file.name}:{number}", row[self.text_field], row[self.label_field], group, split)

    def splits_by(self) -> str:
        """Return "given" if the test part is given, else what the hash is of."""
        return "given" if self.test else "group" if self.group_field else "random"

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes."""
        paths = given_paths(self.path, self.validation, self.test)
        return files_fingerprint([file for _, path in paths for file in input_files(path, SUFFIXES)])


def given_paths(path: str, validation: str | None, test: str | None) -> list[tuple[str | None, str]]:
    """Return (split, path): what lies under `path` has no split yet, and is never put into a split that is given."""
    return [(split, each) for split, each in ((None, path), ("validation", validation), ("test", test)) if each]
