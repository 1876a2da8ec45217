"""What sources that read tables in columns have in common: they differ only in how a file gives its batches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, BinaryIO, NamedTuple

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.archives import seekable
from lm_modules.data.inputs.compression import Guard
from lm_modules.data.inputs.damage import DAMAGE, RefusedError, damage, detail
from lm_modules.data.inputs.file_source import FileSource
from lm_modules.data.inputs.files import InputFile
from lm_modules.data.inputs.parts import Part, Range
from lm_modules.data.inputs.streams import Stream, opened
from lm_modules.data.inputs.tables import bounded, groups_of, require_columns, texts_of


class Block(NamedTuple):
    """Rows that a file holds together; how many is None where it can be known only by reading them."""

    num_bytes: int
    num_rows: int | None


class TableSource(FileSource):
    """Rows of tables, cut between the blocks in which their files hold them.

    Each block is judged by itself, so that it makes no difference how a file is cut: what is wrong with one takes none
    of the rows of the others.
    """

    text_field: str = "text"
    """The column that holds the text."""
    group_field: str | None = None
    """A column; documents with the same value stay in the same split, and those without a value stand alone."""

    @abstractmethod
    def opened_table(self, binary: BinaryIO) -> tuple[Any, list[str]]:
        """Return an open table, and the names of its columns."""

    @abstractmethod
    def num_blocks(self, table: Any) -> int:
        """Return how many blocks there are: one if the table cannot be cut."""

    @abstractmethod
    def block(self, table: Any, index: int) -> Block:
        """Return what the file tells of a block."""

    @abstractmethod
    def batches(self, table: Any, index: int) -> Iterator[tuple[Any, int]]:
        """Yield record batches of a block, with `columns` at least, and how many bytes of the file they take so far.

        `BombError` before one is unpacked that is far larger than that.
        """

    def columns(self) -> list[str]:
        """Return the names of the columns that are wanted, each once."""
        return list(dict.fromkeys(each for each in (self.text_field, self.group_field) if each))

    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield one document a row; memory holds a batch of rows."""
        import pyarrow as arrow

        with seekable(stream.binary) as binary:
            try:
                table, known = self.opened_table(bounded(binary))
            except arrow.ArrowException as error:
                raise self._damaged(error) from error
            require_columns(stream.place, self.columns(), known)
            number = part.first - 1
            for index in range(part.start, self.num_blocks(table) if part.end is None else part.end):
                num_rows = self.block(table, index).num_rows
                last = None if num_rows is None else number + num_rows
                try:
                    for document in self._rows(table, index, stream, number, last):
                        number += 1
                        yield document
                except DAMAGE as error:
                    reason = f"{damage(error)}; this row and the rest of its block are lost"
                    source = self.name or self.kind
                    yield Unreadable(source, stream.place, number + 1, reason, detail(error), last or None)
                number = number if last is None else last

    def _rows(
        self, table: Any, index: int, stream: Stream, number: int, last: int | None
    ) -> Iterator[Document | Unreadable]:
        """Yield the rows of a block, of which the first has the number after `number`."""
        import pyarrow as arrow

        guard = Guard(self.max_expansion)
        try:
            for batch, packed_bytes in self.batches(table, index):
                if last is not None and number + batch.num_rows > last:
                    raise RefusedError("damaged: a block with more rows than its file tells")
                for document in self._documents(batch, stream, number):
                    # one text of a few bytes may stand in every row
                    guard.count(len(document.text) if isinstance(document, Document) else 0, packed_bytes)
                    yield document
                number += batch.num_rows
        except arrow.ArrowException as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> RefusedError:
        return RefusedError(f"damaged, or no {self.kind} file", str(error))

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
                blocks = [self.block(table, index) for index in range(self.num_blocks(table))]
            except arrow.ArrowException:
                return
        start, first, row, waiting = 0, 1, 1, 0
        for index, (num_bytes, num_rows) in enumerate(blocks):
            row, waiting = row + (num_rows or 0), waiting + num_bytes
            if waiting >= part_bytes or index == len(blocks) - 1:
                yield start, index + 1, first
                start, first, waiting = index + 1, row, 0
