"""Markdown files: one a document, or one section."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.encodings import Encoding, decoded, in_utf8
from lm_modules.data.inputs.file_source import FileSource
from lm_modules.data.inputs.parts import Part
from lm_modules.data.inputs.streams import Stream

FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\r?\n.*?^\1[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r" {0,3}(```+|~~~+)")
HEADING = re.compile(r"#{1,6}[ \t]")


class Markdown(FileSource):
    """Markdown as it is written (https://spec.commonmark.org): front matter and comments left out, marks kept.

    Long files are cut before headings, so that a section stays whole.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".md", ".markdown")

    kind: Literal["markdown"] = "markdown"
    document_characters: int | None = Field(default=10_000, ge=200)
    """Files longer than this are cut before headings, into documents that are not, unless a section is; null keeps
    files whole."""
    encoding: Encoding = None

    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield the file, or its sections."""
        text = self.whole_text(decoded(in_utf8(stream.binary, self.encoding)))
        text = without_comments(FRONT_MATTER.sub("", text, count=1))
        documents = [text] if self.document_characters is None else gathered(sections(text), self.document_characters)
        for index, each in enumerate(documents):
            several = len(documents) > 1
            yield self.document(f"{stream.name}#{index}" if several else stream.name, each, group=stream.name)


def without_comments(text: str) -> str:
    """Return the text without comments of HTML; one that is never closed is none."""
    kept, place = [], 0
    while (start := text.find("<!--", place)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[place:start])
        place = end + 3
    return "".join([*kept, text[place:]])


def sections(text: str) -> list[str]:
    """Return the text cut before each heading; a `#` in a block of code is none."""
    found: list[list[str]] = [[]]
    fence = ""
    for line in text.splitlines(keepends=True):
        if mark := FENCE.match(line):
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence):
                fence = ""
        elif not fence and HEADING.match(line):
            found.append([])
        found[-1].append(line)
    return ["".join(lines) for lines in found if lines] or [""]


def gathered(pieces: list[str], most_characters: int) -> list[str]:
    """Return neighbours put together, as far as they are not longer than that."""
    found = [""]
    for piece in pieces:
        if found[-1] and len(found[-1]) + len(piece) > most_characters:
            found.append("")
        found[-1] += piece
    return found
