"""Labelled examples in a table of comma- or tab-separated values."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from configs.base import nearest
from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.labelled import Labelled
from lm_modules.data.labelled.jsonl import given_paths

SUFFIXES = (".csv", ".tsv")


class Csv(Labelled):
    """Rows of CSV files (RFC 4180) whose first line names the columns; bad rows are set aside with their line."""

    kind: Literal["csv"] = "csv"
    path: str
    """A file, a folder or a pattern: for training, and for what has no path of its own below."""
    validation: str | None = None
    """Examples for validation; null holds out a share of `path`."""
    test: str | None = None
    """Examples for the test; null holds out a share of `path`."""
    text_field: str = "text"
    """The column that holds the text."""
    label_field: str = "label"
    """The column that holds the label."""
    group_field: str | None = None
    """A column; examples with the same value stay in the same split."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between columns; a tab is written "\\t"."""
    quotes: bool = True
    """Double quotes enclose a value; false takes them as text, as many tab-separated files do."""

    def examples(self) -> Iterator[Example | Unreadable]:
        """Yield one example a row."""
        for split, path in given_paths(self.path, self.validation, self.test):
            for file in input_files(path, SUFFIXES):
                yield from self._file_examples(file, split)

    def _file_examples(self, file: Path, split: str | None) -> Iterator[Example | Unreadable]:
        # Bytes that are not UTF-8 become lone surrogates, by which their row is known.
        with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
            rows = csv.reader(
                lines,
                delimiter=self.delimiter,
                quoting=csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE,
                strict=True,
            )
            columns = next(rows, [])
            for field in filter(None, (self.text_field, self.label_field, self.group_field)):
                if field not in columns:
                    hint = nearest(field, columns)
                    raise ValueError(f"{file} has no column {field!r}{hint} (its columns: {', '.join(columns)})")
            while True:
                number = rows.line_num + 1
                try:
                    row = next(rows)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Unreadable(self.kind, str(file), number, f"not CSV: {error}")
                    continue
                if row:
                    yield self._example(
                        dict(zip(columns, row, strict=False)), len(row) - len(columns), file, number, split
                    )

    def _example(
        self, row: dict[str, str], excess: int, file: Path, number: int, split: str | None
    ) -> Example | Unreadable:
        joined = self.delimiter.join(row.values())
        if excess:
            reason = f"{'more' if excess > 0 else 'fewer'} values than columns"
        elif not joined.isascii() and joined != joined.encode("utf-8", "replace").decode():
            reason = "not UTF-8"
        else:
            group = row[self.group_field] if self.group_field else None
            return Example(f"{file.name}:{number}", row[self.text_field], row[self.label_field], group, split)
        return Unreadable(self.kind, str(file), number, reason, joined)

    def splits_by(self) -> str:
        """Return "given" if the test part is given, else what the hash is of."""
        return "given" if self.test else "group" if self.group_field else "random"

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes."""
        paths = given_paths(self.path, self.validation, self.test)
        return files_fingerprint([file for _, path in paths for file in input_files(path, SUFFIXES)])
