"""Records of WARC files (ISO 28500), and the pages that servers sent in them.

Written here because FastWARC 2.0.1 panics when a stream fails under it and ends at a response that is packed and in
chunks, and warcio 1.8.1 takes a truncated file for a whole one and holds a line of any length. Here both are errors.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lm_modules.data.inputs.damage import TOO_LONG, RefusedError

MOST_LINE_BYTES = 1 << 16
MOST_HEADERS = 1000
READ_AT_ONCE = 1 << 20
LENGTH = re.compile("[0-9]{1,18}")
STATUS = re.compile(rb"[0-9]{3}")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
MOST_CODINGS = 5
MOST_SHOWN = 100
OTHER_CODINGS = ("br", "zstd", "compress", "x-compress")
Headers = dict[str, str]
"""Values by name in small letters."""


@dataclass
class WarcRecord:
    """A record whose content is read from the stream of the file, while it is at hand."""

    headers: Headers
    stream: BinaryIO
    left: int

    def read(self, most_bytes: int) -> bytes:
        """Return the next bytes of the content, at most so many; the file may not end before the content does."""
        data = self.stream.read(min(most_bytes, self.left))
        if len(data) < min(most_bytes, self.left):
            raise RefusedError("truncated: it ends within a record")
        self.left -= len(data)
        return data

    def readline(self) -> bytes:
        """Return the next line of the content."""
        line = _line(self.stream, min(self.left, MOST_LINE_BYTES))
        self.left -= len(line)
        return line

    def whole(self, max_bytes: int | None) -> bytes:
        """Return all that is left of the content; `RefusedError` if it is too long."""
        if max_bytes is not None and self.left > max_bytes:
            raise RefusedError(TOO_LONG)
        pieces = []
        while self.left:
            pieces.append(self.read(READ_AT_ONCE))
        return b"".join(pieces)


def warc_records(stream: BinaryIO) -> Iterator[WarcRecord]:
    """Yield the records; the content of each is read before the next is asked for, or passed over."""
    while line := _line(stream, MOST_LINE_BYTES):
        if not line.strip():
            continue
        if not line.startswith(b"WARC/"):
            raise RefusedError("no WARC record where one must begin")
        headers = _headers(lambda: _line(stream, MOST_LINE_BYTES))
        if not LENGTH.fullmatch(length := headers.get("content-length", "")):
            raise RefusedError("a record without a Content-Length that is a number", repr(length[:MOST_SHOWN]))
        record = WarcRecord(headers, stream, int(length))
        yield record
        while record.left:
            record.read(READ_AT_ONCE)


def http_response(record: WarcRecord, max_bytes: int | None) -> tuple[int, Headers, bytes]:
    """Return the status, the headers and the decoded body of a response; the body is read if the status is 200."""
    status = record.readline().split(maxsplit=2)
    if len(status) < 2 or not status[0].startswith(b"HTTP/") or not STATUS.fullmatch(status[1]):
        raise RefusedError("no HTTP response")
    headers = _headers(record.readline)
    if int(status[1]) != 200:
        return int(status[1]), headers, b""
    # what is packed is never longer than what it holds but for a few bytes a chunk, so one bound does for both
    body = record.whole(None if max_bytes is None else 2 * max_bytes)
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = _without_chunks(body)
    codings = headers.get("content-encoding", "").lower().replace(",", " ").split()
    if len(codings) > MOST_CODINGS:
        raise RefusedError(f"a response packed more than {MOST_CODINGS} times")
    for coding in reversed(codings):
        body = _uncoded(body, coding, max_bytes)
    if max_bytes is not None and len(body) > max_bytes:
        raise RefusedError(TOO_LONG)
    return 200, headers, body


def _line(stream: BinaryIO, most_bytes: int) -> bytes:
    line = stream.readline(most_bytes)
    if len(line) == MOST_LINE_BYTES and not line.endswith(b"\n"):
        raise RefusedError(f"a header longer than {MOST_LINE_BYTES} bytes")
    return line


def _headers(next_line: Callable[[], bytes]) -> Headers:
    headers: Headers = {}
    for _ in range(MOST_HEADERS):
        line = next_line()
        if not line:
            raise RefusedError("truncated: it ends within headers")
        if not line.strip():
            return headers
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    raise RefusedError(f"more than {MOST_HEADERS} headers")


def _without_chunks(body: bytes) -> bytes:
    """Return what the chunks of RFC 9112 (7.1) hold; archives that took them out already keep the header at times."""
    found: list[bytes] = []
    place = 0
    while True:
        end = body.find(b"\r\n", place)
        size = body[place : min(end, place + MOST_SHOWN)].split(b";")[0].strip() if end >= 0 else b""
        if not CHUNK_SIZE.fullmatch(size):
            if not found:
                return body
            raise RefusedError("truncated: it ends within the chunks of a response")
        length = int(size, 16)
        if not length:
            return b"".join(found)
        found.append(body[end + 2 : end + 2 + length])
        place = end + 2 + length + 2


def _uncoded(body: bytes, coding: str, max_bytes: int | None) -> bytes:
    """Return a body without its compression, at most a byte more than the bound."""
    if coding == "identity" or (coding in ("gzip", "x-gzip") and not body.startswith(b"\x1f\x8b")):
        return body
    if coding in ("gzip", "x-gzip"):
        return gzip.GzipFile(fileobj=io.BytesIO(body)).read(-1 if max_bytes is None else max_bytes + 1)
    if coding == "deflate":
        # often sent without the head of zlib
        raw = body[:1] not in (b"\x78", b"\x58", b"\x38", b"\x18")
        decoder = zlib.decompressobj(-15 if raw else 15)
        found = decoder.decompress(body, 0 if max_bytes is None else max_bytes + 1)
        if not decoder.eof and (max_bytes is None or len(found) <= max_bytes):
            raise EOFError
        return found
    named = coding if coding in OTHER_CODINGS else "something unknown"
    raise RefusedError(f"a response packed as {named}, which is not read", coding[:MOST_SHOWN])
