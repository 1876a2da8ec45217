"""Unpacks compressed streams as they are read, and stops at those that grow beyond all measure.

gzip, bzip2 and xz are Python's own; Zstandard is pyarrow's (RFC 8878).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from typing import Any, BinaryIO, cast

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
BUFFER_BYTES = 1 << 18
PIECE_BYTES = 1 << 16
HARMLESS_BYTES = 64 << 20
"""What a file may grow to whatever its size: a gigabyte of nothing has its ratio only beyond this."""
XZ_MEMORY_BYTES = 256 << 20
"""xz -9 needs 65 MB to unpack; a header can ask for 4 GB."""


class BombError(Exception):
    """A compressed file grows to far more than its size."""


def without_compression(name: str) -> str:
    """Return the name without `.gz` and the like."""
    return name[: -len(found)] if (found := compression_of(name)) else name


def compression_of(name: str) -> str:
    """Return the suffix that tells how a file is compressed, or nothing."""
    return next((each for each in COMPRESSIONS if name.lower().endswith(each)), "")


def decompressed(stream: BinaryIO, name: str, max_expansion: int) -> BinaryIO:
    """Return the unpacked stream of a file of that name; `BombError` if it grows to `max_expansion` times its size.

    Reading a damaged stream is an OSError, an EOFError (it ends too soon), a zlib.error or an LZMAError.
    """
    compression = compression_of(name)
    if not compression:
        return stream
    inner: Any
    if compression == ".gz":
        inner = gzip.GzipFile(fileobj=stream)
    elif compression == ".bz2":
        inner = bz2.BZ2File(stream)
    elif compression == ".xz":
        inner = _Xz(stream)
    else:
        import pyarrow

        inner = pyarrow.CompressedInputStream(stream, "zstd")
    guard = Guard(max_expansion)
    return guard.watch(inner, stream.tell)


class Guard:
    """Counts what comes out of a file, over all members of an archive, against what went in."""

    def __init__(self, max_expansion: int):
        self.max_expansion = max_expansion
        self.num_bytes = 0

    def watch(self, stream: Any, packed_bytes: Callable[[], int]) -> BinaryIO:
        """Return the stream, counted; `packed_bytes` tells how much of the file was read so far."""
        return cast(BinaryIO, io.BufferedReader(_Watched(stream, self, packed_bytes), BUFFER_BYTES))

    def count(self, num_bytes: int, packed_bytes: int) -> None:
        """Add bytes that came out; `BombError` if they are too many."""
        self.num_bytes += num_bytes
        if self.num_bytes > HARMLESS_BYTES and self.num_bytes > self.max_expansion * max(packed_bytes, 1):
            raise BombError(
                f"{packed_bytes} bytes grow to more than {self.num_bytes}, over {self.max_expansion} times as many"
            )


class _Watched(io.RawIOBase):
    def __init__(self, stream: Any, guard: Guard, packed_bytes: Callable[[], int]):
        self.guard, self.packed_bytes = guard, packed_bytes
        self.place = 0
        self.read_some = stream.read1 if isinstance(stream, io.BufferedIOBase) else stream.read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # in small pieces, because what comes in one piece with the damage is lost
        data = self.read_some(min(len(buffer), PIECE_BYTES))
        self.guard.count(len(data), self.packed_bytes())
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)

    def tell(self) -> int:
        return self.place


class _Xz:
    """Reads xz (one stream or several, with padding), and refuses what needs much memory, unlike `lzma.LZMAFile`."""

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)
        self.ended = False

    def read(self, most_bytes: int) -> bytes:
        """Return at most so many bytes, none at the end."""
        while not self.ended:
            packed = b""
            if self.decoder.eof:
                packed = self.decoder.unused_data
                while not (packed := packed.lstrip(b"\0")):
                    if not (packed := self.stream.read(BUFFER_BYTES)):
                        self.ended = True
                        return b""
                self.decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES)
            elif self.decoder.needs_input and not (packed := self.stream.read(BUFFER_BYTES)):
                raise EOFError("it ends before its end mark")
            if data := self.decoder.decompress(packed, most_bytes):
                return data
        return b""
