"""Labelled examples in plain text: a file for each label, an example on each line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.labelled import Labelled

SUFFIXES = (".txt",)


class TextLines(Labelled):
    """Lines of one file a label, as in the polarity data of Pang and Lee 2005 (doi 10.3115/1219840.1219855).

    A line that is not in `encoding` is set aside with its number. Empty lines are passed over.
    """

    gives: ClassVar[tuple[str, ...]] = ("text", "label")

    kind: Literal["text_lines"] = "text_lines"
    files: dict[str, str] = Field(min_length=2)
    """Label -> its file, its folder of .txt files, or a pattern."""
    encoding: str = "utf-8-sig"
    """How the characters are written; older files are often 'latin-1'."""

    def examples(self, required: Sequence[str] = gives, optional: Sequence[str] = ()) -> Iterator[Example | Unreadable]:
        """Yield one example a line, label by label."""
        for label, name, file in self._files():
            with file.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    try:
                        text = line.decode(self.encoding).strip()
                    except UnicodeDecodeError:
                        excerpt = line.decode("ascii", "replace").strip()
                        yield Unreadable(self.kind, str(file), number, f"not {self.encoding}", excerpt)
                        continue
                    except LookupError as error:
                        raise ValueError(f"{error}; an encoding is a name such as utf-8 or latin-1") from error
                    if text:
                        fields = {"text": text, "label": label}
                        yield Example(f"{name}:{number}", fields, file=str(file), line=number)

    def check(self, required: Sequence[str] = gives) -> None:
        """Raise a ValueError if the file of a label is missing, or the encoding is none."""
        list(self._files())
        super().check(required)

    def _files(self) -> Iterator[tuple[str, str, Path]]:
        """Yield (label, name, file)."""
        for label, path in sorted(self.files.items()):
            for name, file in input_files(path, SUFFIXES).items():
                yield label, f"{label}/{name}", file

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes."""
        return files_fingerprint({name: file for _, name, file in self._files()})
