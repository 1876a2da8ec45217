"""What labelled sets in files of rows have in common, however a row is written down."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.inputs.groups import group_of
from lm_modules.data.labelled import Labelled

LABELS = ("label", "labels", "tags")
"""Fields whose values are labels."""


class LabelledTable(Labelled):
    """Rows of named columns, in files for training and, if they are given, files that are held out."""

    suffixes: ClassVar[tuple[str, ...]]

    path: str
    """A file, a folder or a pattern: for training, and for what has no path of its own below."""
    validation: str | None = None
    """Examples for validation; null holds out a share of `path`."""
    test: str | None = None
    """Examples for the test; null holds out a share of `path`."""
    columns: dict[str, str] = Field(default={})
    """What the head reads -> the column or field that holds it, where that has another name: `{text: message}`."""
    label_names: tuple[str, ...] = Field(default=(), max_length=10_000)
    """Names of the labels, where the files give numbers from 0."""
    group_field: str | None = None
    """A column or field; examples with the same value stay in the same split."""

    @model_validator(mode="after")
    def _fractions_are_used(self) -> Self:
        for split in ("validation", "test"):
            if getattr(self, split):
                self.refuse_without_effect(f"{split}_fraction", f"{split!r} names examples of its own")
        return self

    @abstractmethod
    def rows(self, file: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, Any]] | Unreadable]:
        """Yield (line number from 1, values by column) of every row.

        A file of which no row has one of these columns is a ValueError that names it.
        """

    def examples(self, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Example | Unreadable]:
        """Yield one example a row."""
        for split, name, file in self._files():
            for row in self.rows(file, self._columns_of(required)):
                if isinstance(row, Unreadable):
                    yield row
                    continue
                number, values = row
                fields = {
                    field: self._named(field, values[column])
                    for field in (*required, *optional)
                    if (column := self.columns.get(field, field)) in values
                }
                group = None if self.group_field is None else group_of(values.get(self.group_field))
                yield Example(f"{name}:{number}", fields, group, split)

    def check(self, required: Sequence[str]) -> None:
        """Raise a ValueError if a file is missing, or a file has not the columns; reads the first row of each."""
        for _, _, file in self._files():
            rows = self.rows(file, self._columns_of(required))
            next((row for row in rows if not isinstance(row, Unreadable)), None)

    def _columns_of(self, fields: Sequence[str]) -> list[str]:
        columns = [self.columns.get(field, field) for field in fields]
        return columns if self.group_field is None else [*columns, self.group_field]

    def _named(self, field: str, value: Any) -> Any:
        """Return a value, or the name of the label that it is the number of."""
        if not self.label_names or field not in LABELS:
            return value
        if isinstance(value, list):
            return [self._named(field, each) for each in value]
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        return self.label_names[number] if type(number) is int and 0 <= number < len(self.label_names) else value

    def _files(self) -> Iterator[tuple[str | None, str, Path]]:
        """Yield (split, name, file): under `path` no split yet, and nothing of it goes into a split that is given."""
        for split, path in ((None, self.path), ("validation", self.validation), ("test", self.test)):
            for name, file in input_files(path, self.suffixes).items() if path else ():
                # `train/part.csv` and `test/part.csv` are both `part.csv` in their folders.
                yield split, f"{split}/{name}" if split else name, file

    def splits_by(self) -> str:
        """Return "given" if the test part is given, else what the hash is of."""
        return "given" if self.test else "group" if self.group_field else "random"

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes."""
        return files_fingerprint({name: file for _, name, file in self._files()})
