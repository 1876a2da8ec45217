"""Finds the files that a user named: one file, a folder, or a pattern; and says what to do when there are none."""

from __future__ import annotations

import hashlib
from glob import glob, has_magic
from pathlib import Path

BYTES_READ_AT_ONCE = 1 << 20


def input_files(path: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files behind `path`, sorted: the file itself, those of a folder with the suffixes, or a pattern's.

    Relative paths are relative to the current directory. Folders are searched to their depths, hidden files left out.
    """
    place = Path(path).expanduser()
    if has_magic(path) and not place.exists():
        found = sorted(each for name in glob(str(place), recursive=True) if (each := Path(name)).is_file())
        if not found:
            raise ValueError(f"no file matches {path!r} (in {Path.cwd()}); correct the pattern")
        return found
    if not place.exists():
        raise ValueError(f"{path!r} does not exist (in {Path.cwd()}); correct the path")
    if place.is_file():
        return [place]
    found = sorted(each for each in place.rglob("*") if _wanted(each.relative_to(place), suffixes) and each.is_file())
    if not found:
        raise ValueError(
            f"folder {path!r} has no {' or '.join(suffixes)} file; name another folder, or a pattern such as '{path}/*'"
        )
    return found


def _wanted(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.suffix.lower() in suffixes and not any(part.startswith(".") for part in path.parts)


def files_fingerprint(files: list[Path]) -> str:
    """Return a digest of the files' bytes and names, wherever the folder lies."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file_digest(file)}\0".encode())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(BYTES_READ_AT_ONCE):
            digest.update(piece)
    return digest.hexdigest()
