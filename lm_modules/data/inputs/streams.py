"""Opens what was found: each file, or each member of an archive, as a stream of unpacked bytes with a name."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from lm_modules.data.inputs.archives import archive_kind, members, plain_name, tar_compression
from lm_modules.data.inputs.compression import BUFFER_BYTES, Guard, decompressed
from lm_modules.data.inputs.files import InputFile, Wanted, is_url, local_version


@dataclass(frozen=True, slots=True)
class Stream:
    """Bytes with the name that their documents carry and the place that messages tell; or a problem in their stead."""

    name: str
    place: str
    binary: BinaryIO
    problem: str = ""


@contextmanager
def opened(file: InputFile) -> Iterator[BinaryIO]:
    """Open the bytes of a file as they lie there. If they changed since it was found, that is a ValueError, here or at
    the end: what was read is not what is there, and no fingerprint would tell."""
    from lm_modules.data.inputs import remote

    if is_url(file.place):
        with remote.open_remote(file.place) as raw, _unchanged(file):
            yield cast(BinaryIO, io.BufferedReader(raw, BUFFER_BYTES))
    else:
        with (
            open(file.place, "rb", buffering=min(BUFFER_BYTES, max(file.num_bytes, 1 << 13))) as stream,
            _unchanged(file),
        ):
            yield stream


@contextmanager
def _unchanged(file: InputFile) -> Iterator[None]:
    _refuse_changed(file)
    try:
        yield
    except GeneratorExit:
        raise
    except BaseException:
        # what looks damaged may be half written
        _refuse_changed(file)
        raise
    _refuse_changed(file)


def _refuse_changed(file: InputFile) -> None:
    from lm_modules.data.inputs import remote

    try:
        now = remote.version_now(file.place) if is_url(file.place) else local_version(os.stat(file.place))
    except OSError as error:
        raise ValueError(f"{file.place} went away while it was read; let it rest, then run again") from error
    if not remote.same_version(file.version, now):
        raise ValueError(
            f"{file.place} changed while it was read ({file.version} before, {now} now); let it rest, or copy it, "
            "then run again"
        )


def streams(file: InputFile, wanted: Wanted, max_expansion: int) -> Iterator[Stream]:
    """Yield the stream of a file, or one for each wanted member of an archive; the bytes come unpacked.

    Each must be read before the next is asked for.
    """
    with opened(file) as raw:
        if not archive_kind(file.name):
            yield Stream(file.name, file.place, decompressed(raw, file.name, max_expansion))
            return
        num_wanted = 0
        whole = decompressed(raw, tar_compression(file.name), max_expansion)
        for name, member, problem in members(whole, plain_name(file.name), file.num_bytes, Guard(max_expansion)):
            if not (problem or wanted(name)):
                continue
            num_wanted += 1
            place = f"{file.place}/{name}"
            if member is None:
                yield Stream(f"{file.name}/{name}", place, io.BytesIO(), problem)
            else:
                yield Stream(f"{file.name}/{name}", place, decompressed(member, name, max_expansion))
        if not num_wanted:
            yield Stream(file.name, file.place, io.BytesIO(), "an archive with no file of this format")
