"""What labelled sets in files of rows have in common, however a row is written down."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Self

from pydantic import model_validator

from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.labelled import Labelled


class LabelledTable(Labelled):
    """Rows with a text and a label, in files for training and, if they are given, files that are held out."""

    suffixes: ClassVar[tuple[str, ...]]

    path: str
    """A file, a folder or a pattern: for training, and for what has no path of its own below."""
    validation: str | None = None
    """Examples for validation; null holds out a share of `path`."""
    test: str | None = None
    """Examples for the test; null holds out a share of `path`."""
    text_field: str = "text"
    """The column or field that holds the text."""
    label_field: str = "label"
    """The column or field that holds the label; in JSON a string or a whole number."""
    group_field: str | None = None
    """A column or field; examples with the same value stay in the same split."""

    @model_validator(mode="after")
    def _fractions_are_used(self) -> Self:
        for split in ("validation", "test"):
            if getattr(self, split):
                self.refuse_without_effect(f"{split}_fraction", f"{split!r} names examples of its own")
        return self

    @abstractmethod
    def rows(self, file: Path) -> Iterator[tuple[int, dict[str, str]] | Unreadable]:
        """Yield (line number from 1, values by field) of every row; what has no text or label is unreadable."""

    def fields(self) -> tuple[str, ...]:
        """Return the fields that every row needs."""
        return tuple(filter(None, (self.text_field, self.label_field, self.group_field)))

    def examples(self) -> Iterator[Example | Unreadable]:
        """Yield one example a row."""
        for split, name, file in self._files():
            for row in self.rows(file):
                if isinstance(row, Unreadable):
                    yield row
                    continue
                number, values = row
                group = values[self.group_field] if self.group_field else None
                yield Example(f"{name}:{number}", values[self.text_field], values[self.label_field], group, split)

    def check(self) -> None:
        """Raise a ValueError if a file is missing, or a file has not the fields; reads the first row of each."""
        for _, _, file in self._files():
            next((row for row in self.rows(file) if not isinstance(row, Unreadable)), None)

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
