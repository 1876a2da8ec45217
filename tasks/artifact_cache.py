"""Artifacts that this machine already has, found by digest.

    cache/<digest>/                 the files
    cache/<digest>.manifest.json    size and modification time of each, for a check that reads no contents

A digest names the bytes, so an entry never changes. It is filled beside its place, verified, and moved in whole.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tasks.digests import digest_directory, files_of
from tasks.home import cache_directory
from tasks.locks import file_lock

logger = logging.getLogger(__name__)


def lookup(digest: str) -> Path | None:
    """Return the cached directory, or None if it is missing or its files are not those that were put there."""
    directory, manifest = cache_directory(digest), _manifest(digest)
    if not directory.is_dir() or not manifest.is_file():
        return None
    try:
        expected = json.loads(manifest.read_text())
    except ValueError:
        return None
    if _stamps(directory) == expected:
        return directory
    # Touched but perhaps equal (a restored backup changes only the times): the bytes decide.
    if files_of(directory) and digest_directory(directory) == digest:
        _write_manifest(digest)
        return directory
    return None


def fill(digest: str, download: Callable[[Path], None]) -> Path:
    """Return the directory with this digest, calling `download(empty directory)` only if it is not here yet.

    Raises ValueError if what was downloaded has another digest.
    """
    target = cache_directory(digest)
    with file_lock(target.with_suffix(".lock")):
        if found := lookup(digest):
            return found
        if target.exists():
            logger.warning("The cached files in %s were changed; fetching them again", target)
            shutil.rmtree(target)
        scratch = Path(tempfile.mkdtemp(prefix=f".{digest[:16]}-", dir=target.parent))
        try:
            download(scratch)
            actual = digest_directory(scratch)
            if actual != digest:
                raise ValueError(
                    f"the fetched files have digest {actual}, not {digest}: the stored artifact was changed"
                )
            scratch.chmod(0o755)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        _write_manifest(digest)
    return target


def link_or_copy(source: Path, target: Path) -> None:
    """Fill the directory `target` with hard links to the files of `source`, or copies where links cannot be made."""
    for relative in files_of(source):
        destination = target / relative
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source / relative, destination)
        except OSError:  # another file system, or one without links
            shutil.copy2(source / relative, destination)


def _manifest(digest: str) -> Path:
    return cache_directory(digest).with_suffix(".manifest.json")


def _write_manifest(digest: str) -> None:
    scratch = cache_directory(digest).with_suffix(".manifest.new")
    scratch.write_text(json.dumps(_stamps(cache_directory(digest))))
    scratch.replace(_manifest(digest))


def _stamps(directory: Path) -> dict[str, list[int]]:
    statistics = {relative: (directory / relative).stat() for relative in files_of(directory)}
    return {relative: [each.st_size, each.st_mtime_ns] for relative, each in statistics.items()}
