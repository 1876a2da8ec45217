"""Name content by its bytes: equal digests mean equal files, on any machine."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_directory(path: Path) -> str:
    """Return the SHA-256 over the sorted relative paths of a directory's files and the digest of each.

    Empty folders, modes and times do not count. A missing or empty directory is a ValueError.
    """
    files = files_of(path)
    if not files:
        raise ValueError(f"{path} holds no files, so it has no digest; check that the stage before wrote there")
    total = hashlib.sha256()
    for relative in files:
        total.update(f"{digest_file(path / relative)}  {relative}\n".encode())
    return total.hexdigest()


def files_of(path: Path) -> list[str]:
    """Return the relative POSIX paths of all files below a directory, sorted."""
    return sorted(each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file())
