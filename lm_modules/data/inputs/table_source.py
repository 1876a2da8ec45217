"""What sources that read tables in columns have in common: they differ only in how a file gives its batches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, BinaryIO

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.archives import seekable
from lm_modules.data.inputs.compression import Guard
from lm_modules.data.inputs.damage import RefusedError
from lm_modules.data.inputs.file_source import FileSource
from lm_modules.data.inputs.files import InputFile
from lm_modules.data.inputs.parts import Part, Range
from lm_modules.data.inputs.streams import Stream, opened
from lm_modules.data.inputs.tables import bounded, groups_of, require_columns, texts_of, validated


class TableSource(FileSource):
    """Rows of tables, cut between the blocks in which their files hold them."""

    text_field: str = "text"
    """The column that holds the text."""
    group_field: str | None = None
    """A column; documents with the same value stay in the same split, and those without a value stand alone."""

    @abstractmethod
    def opened_table(self, binary: BinaryIO) -> tuple[Any, list[str]]:
        """Return an open table, and the names of its columns."""

    @abstractmethod
    def blocks(self, table: Any) -> Iterator[tuple[int, int]]:
        """Yield (bytes, rows) of each block; nothing if the table cannot be cut."""

    @abstractmethod
    def batches(self, table: Any, columns: list[str], start: int, end: int | None) -> Iterator[tuple[Any, int]]:
        """Yield record batches of the blocks from `start` to `end`, or to the last, each with how many bytes of the
        file were read for all so far. `BombError` before one is unpacked that is far larger than that."""

    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield one document a row; memory holds a batch of rows."""
        import pyarrow as arrow

        columns = [each for each in (self.text_field, self.group_field) if each]
        number = part.first - 1
        try:
            with seekable(stream.binary) as binary:
                table, known = self.opened_table(bounded(binary))
                require_columns(stream.place, tuple(columns), known)
                guard = Guard(self.max_expansion)
                for batch, packed_bytes in self.batches(table, columns, part.start, part.end):
                    for document in self._documents(validated(batch), stream, number):
                        # one text of a few bytes may stand in every row
                        guard.count(len(document.text) if isinstance(document, Document) else 0, packed_bytes)
                        number += 1
                        yield document
        except arrow.ArrowException as error:
            raise RefusedError(f"damaged, or no {self.kind} file", f"after row {number}: {error}") from error

    def _documents(self, batch: Any, stream: Stream, number: int) -> Iterator[Document | Unreadable]:
        texts = texts_of(batch.column(self.text_field), self.max_document_bytes)
        groups = groups_of(batch.column(self.group_field)) if self.group_field else repeat(None)
        for row, ((text, problem, excerpt), group) in enumerate(zip(texts, groups, strict=False), start=number + 1):
            if text is None:
                yield self.unreadable(stream.place, row, f"column {self.text_field!r} is {problem}", excerpt)
            else:
                yield self.document(f"{stream.name}:{row}", text, group)

    def ranges(self, file: InputFile, part_bytes: int) -> Iterable[Range]:
        """Yield ranges of blocks."""
        import pyarrow as arrow

        with opened(file) as stream:
            try:
                table, _ = self.opened_table(bounded(stream))
                sizes = list(self.blocks(table))
            except arrow.ArrowException:
                return
        start, first, row, waiting = 0, 1, 1, 0
        for index, (num_bytes, num_rows) in enumerate(sizes):
            row, waiting = row + num_rows, waiting + num_bytes
            if waiting >= part_bytes or index == len(sizes) - 1:
                yield start, index + 1, first
                start, first, waiting = index + 1, row, 0
