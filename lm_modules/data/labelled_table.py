"""What labelled sets in files of rows have in common, however a row is written down."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.labelled_files import LabelledFiles
from lm_modules.data.labelled_rows import LabelledRows


class LabelledTable(LabelledRows, LabelledFiles):
    """Rows of named columns, in files for training and, if they are given, files that are held out."""

    @abstractmethod
    def rows(
        self, file: Path, columns: Sequence[str], others: Sequence[str] = ()
    ) -> Iterator[tuple[int, Mapping[str, Any]] | Unreadable]:
        """Yield (line number from 1, values by column) of every row; those of `others` are read where there are any.

        A file of which no row has one of these columns is a ValueError that names it.
        """

    def examples(self, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Example | Unreadable]:
        """Yield one example a row."""
        columns = self.columns_of(self.required_of(required, optional))
        others = [self.columns.get(field, field) for field in optional]
        for split, name, file in self.files():
            for row in self.rows(file, columns, others):
                if isinstance(row, Unreadable):
                    yield row
                else:
                    number, values = row
                    yield self.example(f"{name}:{number}", values, (*required, *optional), split, str(file), number)

    def check(self, required: Sequence[str]) -> None:
        """Raise a ValueError if a file is missing, or a file has not the columns; reads the first row of each."""
        for _, _, file in self.files():
            rows = self.rows(file, self.columns_of(required))
            next((row for row in rows if not isinstance(row, Unreadable)), None)

    def splits_by(self, split: str = "test") -> str:
        """Return "given" if the part is given, else what the hash is of."""
        return "given" if getattr(self, split) else "group" if self.group_field else "random"
