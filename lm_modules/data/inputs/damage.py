"""What can be wrong with a file that others wrote, in words for the ledger."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib

from lm_modules.data.inputs.compression import BombError

TOO_LONG = "longer than max_document_bytes"


class RefusedError(Exception):
    """A file that is not what it should be; the message is for the ledger."""


class LostError(RefusedError):
    """What follows from a line on cannot be read."""

    def __init__(self, line: int, reason: str):
        super().__init__(reason)
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
    """Return the reason for the ledger, of one of `DAMAGE`."""
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, PermissionError | FileNotFoundError | IsADirectoryError):
        return f"cannot be read: {error.strerror}"
    if isinstance(error, UnicodeDecodeError):
        return f"not {error.encoding} ({error.reason}); name its encoding"
    if isinstance(error, EOFError) or "runcated" in str(error) or "unexpected end of data" in str(error):
        return "truncated: it ends before its end mark"
    if isinstance(error, BombError):
        return f"set aside as a bomb: {error}"
    return f"damaged: {error or type(error).__name__}"
