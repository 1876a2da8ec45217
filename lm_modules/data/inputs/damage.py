"""What can be wrong with a file that others wrote, in words for the ledger."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib

from lm_modules.data.inputs.compression import BombError

TOO_LONG = "longer than max_document_bytes"


class RefusedError(Exception):
    """A file that is not what it should be; the message is for the ledger.

    Equal faults have equal messages, so that they can be counted. What differs, such as the place or a value that the
    file tells, is the `detail`.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason)
        self.detail = detail


class LostError(RefusedError):
    """What follows from a line on cannot be read."""

    def __init__(self, line: int, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.line = line


DAMAGE = (
    OSError,
    EOFError,
    BombError,
    RefusedError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    UnicodeDecodeError,
)


def damage(error: BaseException) -> str:
    """Return the reason for the ledger, of one of `DAMAGE`; it is one of few, whatever the file holds."""
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, PermissionError | FileNotFoundError | IsADirectoryError):
        return f"cannot be read: {error.strerror or type(error).__name__.removesuffix('Error')}"
    if isinstance(error, UnicodeDecodeError):
        return f"not {error.encoding} ({error.reason}); name its encoding"
    if isinstance(error, EOFError) or "runcated" in str(error) or "unexpected end of data" in str(error):
        return "truncated: it ends before its end mark"
    if isinstance(error, BombError):
        return "set aside as a bomb: it grows to far more than its size; raise max_expansion if that is right"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be read: {error.strerror}"
    return "damaged: it cannot be unpacked"


def detail(error: BaseException) -> str:
    """Return what is particular to one of `DAMAGE`: the place, or what a library says of it."""
    return error.detail if isinstance(error, RefusedError) else str(error) or type(error).__name__
