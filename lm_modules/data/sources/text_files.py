"""Plain text files: one, a folder of them, or a pattern."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.sources import Source

SUFFIXES = (".txt", ".md")


class TextFiles(Source):
    """Text files in UTF-8, long ones cut at paragraphs, so that a single book can be split into train and test.

    A file that is not UTF-8 is set aside with the place of its first bad byte.
    """

    kind: Literal["text_files"] = "text_files"
    path: str
    """A file, a folder (its .txt and .md files, however deep) or a pattern such as 'books/**/*.rst'."""
    document_characters: int | None = Field(default=10_000, ge=200)
    """Longer files are cut at the end of a paragraph, or of a line, near this length; null keeps files whole."""
    keep_files_together: bool = False
    """Put all pieces of a file into the same split (needs many files)."""

    def documents(self) -> Iterator[Document | Unreadable]:
        """Yield the files in the order of their paths; memory holds one file."""
        name = self.name or self.kind
        for place, file in input_files(self.path, SUFFIXES).items():
            try:
                text = file.read_bytes().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                yield Unreadable(name, str(file), None, f"not UTF-8 (byte {error.start}); save it as UTF-8")
                continue
            pieces = [text] if self.document_characters is None else cut(text, self.document_characters)
            for index, piece in enumerate(pieces):
                id = f"{place}#{index}" if len(pieces) > 1 else place
                # A whole file keeps its split when it is edited.
                whole = self.keep_files_together or len(pieces) == 1
                yield Document(id, piece, name, group=place if whole else None)

    def check(self) -> None:
        """Raise a ValueError if there is no file."""
        input_files(self.path, SUFFIXES)

    def fingerprint(self) -> str:
        """Return a digest of the files' bytes."""
        return files_fingerprint(input_files(self.path, SUFFIXES))


def cut(text: str, most_characters: int) -> list[str]:
    """Return pieces of at most `most_characters`, cut after a paragraph, line or word; nothing is lost."""
    pieces, start = [], 0
    while len(text) - start > most_characters:
        end = start + most_characters
        for mark in ("\n\n", "\n", " "):
            # A cut in the first half would leave a piece too short to be worth it.
            if (found := text.rfind(mark, start + most_characters // 2, end)) >= 0:
                end = found + len(mark)
                break
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]]
