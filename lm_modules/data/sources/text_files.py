"""Plain text files: one, a folder of them, or a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import ClassVar, Literal

from pydantic import Field

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.archives import seekable
from lm_modules.data.inputs.encodings import Encoding, decoded, in_utf8
from lm_modules.data.inputs.file_source import FileSource
from lm_modules.data.inputs.files import InputFile
from lm_modules.data.inputs.parts import Part, Range
from lm_modules.data.inputs.streams import Stream, opened


class TextFiles(FileSource):
    """Text files, long ones cut at paragraphs, so that a single book can be split into train and test.

    They are in UTF-8, or in UTF-16 or UTF-32 with a byte order mark. Any other file is set aside with the place of its
    first bad byte, unless `encoding` says what it is; one with a NUL is no text.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".md")

    kind: Literal["text_files"] = "text_files"
    document_characters: int | None = Field(default=10_000, ge=200)
    """Longer files are cut at the end of a paragraph, or of a line, near this length; null keeps files whole."""
    keep_files_together: bool = False
    """Put all pieces of a file into the same split (needs many files)."""
    encoding: Encoding = None

    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield the pieces of a file; memory holds a piece of it."""
        if part.end is not None:
            stream.binary.seek(part.start)
            text = decoded(stream.binary, part.end - part.start)
            yield from self._pieces(stream.name, text, part.first - 1, several=True)
        elif self.document_characters is None:
            text = decoded(in_utf8(stream.binary, self.encoding))
            yield self.document(stream.name, self.whole_text(text), group=stream.name)
        else:
            # all of it is read before, so that a file that is no text gives nothing
            with seekable(in_utf8(stream.binary, self.encoding)) as binary:
                start = binary.tell()
                for _ in decoded(binary):
                    continue
                binary.seek(start)
                yield from self._pieces(stream.name, decoded(binary), 0, several=False)

    def _pieces(self, name: str, text: Iterable[str], index: int, several: bool) -> Iterator[Document]:
        pieces = cut_stream(text, self.document_characters or 0)
        first, second = next(pieces), next(pieces, None)
        several = several or second is not None
        for piece in chain([first], [] if second is None else [second], pieces):
            # A whole file keeps its split when it is edited.
            group = name if self.keep_files_together or not several else None
            yield self.document(f"{name}#{index}" if several else name, piece, group)
            index += 1

    def ranges(self, file: InputFile, part_bytes: int) -> Iterator[Range]:
        """Yield ranges of whole pieces."""
        with opened(file) as stream:
            if not self.document_characters or in_utf8(stream, self.encoding) is not stream:
                return
            start = end = stream.tell()
            first = number = 1
            for piece in cut_stream(decoded(stream), self.document_characters):
                end += len(piece.encode())
                number += 1
                if end - start >= part_bytes:
                    yield start, end, first
                    start, first = end, number
            if end > start:
                yield start, end, first

    def check(self) -> None:
        """Raise a ValueError if there is no file."""
        self.files()


def cut(text: str, most_characters: int) -> list[str]:
    """Return pieces of at most `most_characters`, cut after a paragraph, line or word; nothing is lost."""
    return list(cut_stream([text], most_characters))


def cut_stream(text: Iterable[str], most_characters: int) -> Iterator[str]:
    """Yield the pieces of a text that comes bit by bit; there is always one."""
    waiting = ""
    for each in text:
        waiting += each
        start = 0
        while len(waiting) - start > most_characters:
            end = _end(waiting, start, most_characters)
            yield waiting[start:end]
            start = end
        waiting = waiting[start:]
    yield waiting


def _end(text: str, start: int, most_characters: int) -> int:
    """Return where the piece that begins at `start` ends."""
    end = start + most_characters
    for mark in ("\n\n", "\n", " "):
        # A cut in the first half would leave a piece too short to be worth it.
        if (found := text.rfind(mark, start + most_characters // 2, end)) >= 0:
            return found + len(mark)
    return end
