"""Text in UTF-8, whatever it was written in: a byte order mark tells, or the user does; nothing is guessed."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, cast

from pydantic import AfterValidator, Field

from lm_modules.data.inputs.compression import BUFFER_BYTES
from lm_modules.data.inputs.damage import RefusedError

# that of UTF-32 begins with that of UTF-16
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
DECODED_AT_ONCE = 1 << 18
REMEDY = "save it as UTF-8, or name its encoding (encoding: cp1252)"


def _known(encoding: str | None) -> str | None:
    try:
        "".encode(encoding or "utf-8")
    except LookupError as error:
        raise ValueError(f"{error}; an encoding is a name such as utf-8, cp1252 or shift_jis") from error
    return encoding


Encoding = Annotated[
    str | None,
    AfterValidator(_known),
    Field(
        description="How files without a byte order mark are encoded; null takes them for UTF-8 and sets others aside."
    ),
]


def encoding_of(stream: BinaryIO, encoding: str | None) -> tuple[str, int]:
    """Return the encoding of the text at hand, and how many bytes its mark takes; the stream stays where it is."""
    head = cast(io.BufferedReader, stream).peek(4)[:4]
    for mark, name in MARKS:
        if head.startswith(mark):
            return name, len(mark)
    return codecs.lookup(encoding or "utf-8").name, 0


def in_utf8(stream: BinaryIO, encoding: str | None) -> BinaryIO:
    """Return the text without its mark, in UTF-8; what is UTF-8 already is not looked at here."""
    name, mark_bytes = encoding_of(stream, encoding)
    stream.read(mark_bytes)
    if name == "utf-8":
        if 0 in cast(io.BufferedReader, stream).peek(4)[:4]:
            raise RefusedError("no text: it begins with NULs; if it is UTF-16, name its encoding (encoding: utf-16-le)")
        return stream
    return cast(BinaryIO, io.BufferedReader(_Recoded(stream, name), BUFFER_BYTES))


def decoded(stream: BinaryIO, num_bytes: int | None = None) -> Iterator[str]:
    """Yield the text of a stream in UTF-8, as far as `num_bytes` go; other bytes, or a NUL, are refused by place."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    place, left = 0, num_bytes
    while True:
        data = stream.read(DECODED_AT_ONCE if left is None else min(left, DECODED_AT_ONCE))
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            pending = len(decoder.getstate()[0])
            raise RefusedError(f"not UTF-8; {REMEDY}", f"byte {place - pending + error.start}") from error
        if (nul := data.find(0)) >= 0:
            raise RefusedError("no text: it holds NULs; if it is UTF-16, name its encoding", f"byte {place + nul}")
        if text:
            yield text
        if not data:
            return
        place += len(data)
        left = None if left is None else left - len(data)


class _Recoded(io.RawIOBase):
    def __init__(self, stream: BinaryIO, encoding: str):
        self.stream, self.waiting = stream, memoryview(b"")
        self.decoder = codecs.getincrementaldecoder(encoding)()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.waiting:
            data = self.stream.read(BUFFER_BYTES)
            self.waiting = memoryview(self.decoder.decode(data, final=not data).encode())
            if not data:
                break
        taken = self.waiting[: len(buffer)]
        self.waiting = self.waiting[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)
