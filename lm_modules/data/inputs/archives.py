"""The members of tar and zip files, read where they lie: nothing is written to disk under a name from an archive."""

from __future__ import annotations

import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from lm_modules.data.inputs.compression import Guard, without_compression
from lm_modules.data.inputs.damage import RefusedError

SHORT_TARS = {".tgz": ".tar.gz", ".tbz2": ".tar.bz2", ".txz": ".tar.xz", ".tzst": ".tar.zst"}
MOST_HEADER_BYTES = 1 << 20
HELD_BYTES = 16 << 20
BAD_HEADER = "damaged: a tar file with a header that cannot be read"
FOOLED = (
    ValueError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    RecursionError,
    AttributeError,
    TypeError,
    struct.error,
)
"""What Python's readers of archives raise for headers that they do not expect, beside the errors of their own."""
Member = tuple[str, BinaryIO | None, str]
"""A member's name, its stream or None, and why it is not read or nothing."""


def archive_kind(name: str) -> str:
    """Return "zip", "tar" or nothing, by the end of the name."""
    whole = plain_name(name).lower()
    return next((kind for kind in ("zip", "tar") if whole.endswith(f".{kind}")), "")


def plain_name(name: str) -> str:
    """Return the name of an archive without its compression: `a.tar` for `a.tgz`."""
    for short, long in SHORT_TARS.items():
        if name.lower().endswith(short):
            name = name[: -len(short)] + long
    return without_compression(name)


def tar_compression(name: str) -> str:
    """Return the suffix by which a tar file is decompressed, in full."""
    return next((long for short, long in SHORT_TARS.items() if name.lower().endswith(short)), name)


def members(stream: BinaryIO, name: str, num_bytes: int, guard: Guard) -> Iterator[Member]:
    """Yield the files of an archive in their order; each must be read before the next is asked for."""
    if archive_kind(name) == "zip":
        yield from _zip_members(stream, num_bytes, guard)
    else:
        yield from _tar_members(stream, num_bytes, guard)


def _zip_members(stream: BinaryIO, num_bytes: int, guard: Guard) -> Iterator[Member]:
    packed_bytes = 0
    with seekable(stream) as file, _zip(file) as archive:
        for info in archive.infolist():
            # once it is known for a bomb, no further member is tried
            guard.count(0, packed_bytes)
            if info.filename.endswith("/"):
                continue
            # members of a bomb may overlap, so that their sum is more than the file
            packed_bytes = min(packed_bytes + info.compress_size, num_bytes)
            problem = _name_problem(info.filename)
            if stat.S_ISLNK(info.external_attr >> 16):
                problem = "a link in an archive, not followed"
            elif info.flag_bits & 1:
                problem = "encrypted; unpack it"
            if problem:
                yield info.filename, None, problem
                continue
            try:
                member = archive.open(info)
            except NotImplementedError:
                yield info.filename, None, "packed in a way that is not read; pack it by deflate"
                continue
            except (zipfile.BadZipFile, *FOOLED):
                yield info.filename, None, "damaged: what the zip file says of it does not agree"
                continue
            with member:
                yield info.filename, guard.watch(member, lambda so_far=packed_bytes: so_far), ""  # type: ignore[misc]


def _zip(file: BinaryIO) -> zipfile.ZipFile:
    with _not_fooled("damaged: a zip file with a table of files that cannot be read"):
        return zipfile.ZipFile(file)


def _tar(stream: BinaryIO) -> tarfile.TarFile:
    """Open a tar file, which reads its first header."""
    with _not_fooled(BAD_HEADER):
        return tarfile.open(fileobj=stream, mode="r|", tarinfo=_TarInfo)


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    with _not_fooled(BAD_HEADER):
        return archive.next()


@contextmanager
def _not_fooled(reason: str) -> Iterator[None]:
    try:
        yield
    except FOOLED as error:
        raise RefusedError(reason, str(error)) from error


def _tar_members(stream: BinaryIO, num_bytes: int, guard: Guard) -> Iterator[Member]:
    with _tar(stream) as archive:
        while (info := _next(archive)) is not None:
            # tarfile would keep a list of all members
            archive.members.clear()  # type: ignore[attr-defined]
            if info.isdir():
                continue
            problem = _name_problem(info.name)
            if info.issym() or info.islnk():
                problem = "a link in an archive, not followed"
            elif info.issparse() or not info.isfile():
                problem = "neither a plain file nor a folder"
            if problem:
                yield info.name, None, problem
            else:
                yield info.name, guard.watch(archive.extractfile(info), lambda: num_bytes), ""


def _name_problem(name: str) -> str:
    """Return why a member's name is refused, or nothing."""
    if not name:
        return "a file without a name"
    place = PurePosixPath(name.replace("\\", "/"))
    if place.is_absolute() or ".." in place.parts or (place.parts[:1] and place.parts[0].endswith(":")):
        return "its name leads out of the archive"
    if archive_kind(name):
        return "an archive in an archive; unpack it"
    return ""


class _TarInfo(tarfile.TarInfo):
    """Refuses what tarfile lets pass: headers of gigabytes, and an end that is none."""

    LONG = (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:  # type: ignore[override]
        """Return the next header. A tar file ends with a block of zeros; tarfile takes any rubbish for its end too."""
        try:
            return super().fromtarfile(archive)
        except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError("unexpected end of data") from error
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]
            raise RefusedError(BAD_HEADER, f"byte {archive.offset}") from error

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in self.LONG and self.size > MOST_HEADER_BYTES:
            raise RefusedError("a tar file with a header that is too long", f"{self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


@contextmanager
def seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """Give the stream itself if one can go back in it, else a copy, which is on disk while it is large."""
    if stream.seekable():
        yield stream
        return
    with tempfile.SpooledTemporaryFile(HELD_BYTES) as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.seek(0)
        yield cast(BinaryIO, copy)
