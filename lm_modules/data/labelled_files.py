"""What labelled sets in files have in common: where the files lie, and which of them are held out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Self

from pydantic import model_validator

from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.labelled import Labelled


class LabelledFiles(Labelled):
    """Files for training and, if they are given, files that are held out."""

    suffixes: ClassVar[tuple[str, ...]]

    path: str
    """A file, a folder or a pattern: for training, and for what has no path of its own below."""
    validation: str | None = None
    """Examples for validation; null holds out a share of `path`."""
    test: str | None = None
    """Examples for the test; null holds out a share of `path`."""

    @model_validator(mode="after")
    def _fractions_are_used(self) -> Self:
        for split in ("validation", "test"):
            if getattr(self, split):
                self.refuse_without_effect(f"{split}_fraction", f"{split!r} names examples of its own")
        return self

    def files(self) -> Iterator[tuple[str | None, str, Path]]:
        """Yield (split, name, file): under `path` no split yet, and nothing of it goes into a split that is given."""
        for split, path in ((None, self.path), ("validation", self.validation), ("test", self.test)):
            for name, file in input_files(path, self.suffixes).items() if path else ():
                # `train/part.csv` and `test/part.csv` are both `part.csv` in their folders.
                yield split, f"{split}/{name}" if split else name, file

    def splits_by(self, split: str = "test") -> str:
        """Return "given" if the part is given, else what the hash is of."""
        return "given" if getattr(self, split) else "random"

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes."""
        return files_fingerprint({name: file for _, name, file in self.files()})
