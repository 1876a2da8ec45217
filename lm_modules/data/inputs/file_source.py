"""What sources that read files have in common: they differ only in how a stream of bytes becomes documents."""

from __future__ import annotations

import hashlib
import sys
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import BinaryIO, ClassVar

from pydantic import Field

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.archives import archive_kind
from lm_modules.data.inputs.compression import compression_of
from lm_modules.data.inputs.damage import DAMAGE, TOO_LONG, RefusedError, damage, detail
from lm_modules.data.inputs.files import InputFile, find_files, has_suffix, is_url
from lm_modules.data.inputs.parts import Part, Range, grouped
from lm_modules.data.inputs.streams import Stream, opened, streams
from lm_modules.data.personal import EXCERPT_CHARACTERS, excerpt
from lm_modules.data.sources import Source

MOST_FILES_CHECKED = 100


class FileSource(Source):
    """Documents in files: of a folder, a pattern or a URL; compressed, or in a tar or zip archive."""

    suffixes: ClassVar[tuple[str, ...]]

    path: str
    """A file, a folder (its files of this format, however deep), a pattern, or a URL such as s3://bucket/texts.

    Each file may be compressed (.gz, .bz2, .xz, .zst); a .tar or .zip is opened if it is named or matches."""
    follow_links: bool = False
    """Follow links that lead out of the folder."""
    max_document_bytes: int | None = Field(default=16 << 20, gt=0)
    """Longer documents are set aside and never held in memory; null holds them, however long they are."""
    max_expansion: int = Field(default=200, gt=1)
    """How many times its size a compressed file may grow to, before it is taken for a bomb and set aside."""

    @abstractmethod
    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield the documents of a stream. If it is cut, it stands at the range of the part."""

    def ranges(self, file: InputFile, part_bytes: int) -> Iterable[Range]:
        """Return where a large file may be cut; nothing keeps it whole."""
        return ()

    def files(self) -> list[InputFile]:
        """Return the files to read, in order."""
        return find_files(self.path, self.suffixes, self.follow_links)

    def wanted(self, name: str) -> bool:
        """Return whether a member of an archive is of this format."""
        return has_suffix(name, self.suffixes)

    def parts(self, part_bytes: int) -> list[Part]:
        """Return groups of small files, and ranges of large ones."""
        return list(grouped(self.files(), part_bytes, lambda file: self._ranges(file, part_bytes)))

    def _ranges(self, file: InputFile, part_bytes: int) -> Iterable[Range]:
        if compression_of(file.name) or archive_kind(file.name):
            return ()
        try:
            return list(self.ranges(file, part_bytes))
        except DAMAGE:
            return ()

    def documents(self, part: Part | None = None) -> Iterator[Document | Unreadable]:
        """Yield the documents in the order of their files; memory holds one document, or a batch of small ones."""
        for each in self.parts(sys.maxsize) if part is None else [part]:
            for file in each.files:
                yield from self.file_documents(file, each)

    def file_documents(self, file: InputFile, part: Part) -> Iterator[Document | Unreadable]:
        """Yield the documents of a file; what is damaged is set aside by name, and the rest is read."""
        if file.problem:
            yield self.unreadable(file.place, None, file.problem)
            return
        try:
            for stream in streams(file, self.wanted, self.max_expansion):
                yield from self._stream_documents(stream, part)
        except DAMAGE as error:
            yield self.unreadable(file.place, None, damage(error), detail(error))

    def _stream_documents(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        if stream.problem:
            yield self.unreadable(stream.place, None, stream.problem)
            return
        empty = part.end is None
        try:
            for each in self.read(stream, part):
                empty = False
                yield each
        except DAMAGE as error:
            yield self.unreadable(stream.place, getattr(error, "line", None), damage(error), detail(error))
        else:
            if empty:
                yield self.unreadable(stream.place, None, "empty: it holds no document")

    def too_long(self, num_bytes: int) -> bool:
        """Return whether a document of so many bytes is to be set aside."""
        return self.max_document_bytes is not None and num_bytes > self.max_document_bytes

    def whole(self, stream: BinaryIO) -> bytes:
        """Return the bytes of a stream that is one document; `RefusedError` if it is too long."""
        data = stream.read(-1 if self.max_document_bytes is None else self.max_document_bytes + 1)
        if self.too_long(len(data)):
            raise RefusedError(TOO_LONG)
        return data

    def whole_text(self, text: Iterable[str]) -> str:
        """Return a text that comes bit by bit and is one document; `RefusedError` if it is too long."""
        pieces, num_bytes = [], 0
        for piece in text:
            num_bytes += len(piece.encode())
            if self.too_long(num_bytes):
                raise RefusedError(TOO_LONG)
            pieces.append(piece)
        return "".join(pieces)

    def check(self) -> None:
        """Raise a ValueError if there is no file, or none that can be read, or one lacks a field that is asked for."""
        problems = []
        for file in self.files()[:MOST_FILES_CHECKED]:
            for each in self.file_documents(file, Part()):
                if isinstance(each, Document):
                    problems.append("")
                    break
                what = f" ({excerpt(each.excerpt, EXCERPT_CHARACTERS)})" if each.line is None and each.excerpt else ""
                problems.append(f"{each.file}: {each.reason}{what}")
        if all(problems):
            raise ValueError(f"{self.path!r} has no document that can be read ({problems[0]})")

    def fingerprint(self) -> str:
        """Return a digest of the files' names and bytes; of remote files, of the marks that their system keeps."""
        digest = hashlib.sha256()
        for file in self.files():
            digest.update(f"{file.name}\0{self._file_fingerprint(file)}\0".encode(errors="surrogatepass"))
        return digest.hexdigest()

    def _file_fingerprint(self, file: InputFile) -> str:
        from lm_modules.data.inputs.remote import tells_content

        if file.problem:
            return file.problem
        if is_url(file.place) and tells_content(file.version):
            return file.version
        try:
            with opened(file) as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        except DAMAGE as error:
            return damage(error)
