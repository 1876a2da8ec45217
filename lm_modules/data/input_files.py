"""Finds the files that a user named: one file, a folder, or a pattern; and says what to do when there are none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path

BYTES_READ_AT_ONCE = 1 << 20


def input_files(path: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the files behind `path`, sorted: the file itself, those of a folder with the suffixes, or a pattern's.

    Each has its name: its place in the folder, or below the part of the pattern that is no pattern (`a/b.txt` of
    `books/a/b.txt`). So no two have the same, and a folder may be moved. Relative paths are relative to the current
    directory. Folders are searched to their depths, hidden files left out.
    """
    place = Path(path).expanduser()
    if has_magic(path) and not place.exists():
        found = sorted(each for name in glob(str(place), recursive=True) if (each := Path(name)).is_file())
        if not found:
            raise ValueError(f"no file matches {path!r} (in {Path.cwd()}); correct the pattern")
        return named(found, Path(*takewhile(lambda part: not has_magic(part), place.parts)))
    if not place.exists():
        raise ValueError(f"{path!r} does not exist (in {Path.cwd()}); correct the path")
    if place.is_file():
        return named([place], place.parent)
    found = sorted(each for each in place.rglob("*") if _wanted(each.relative_to(place), suffixes) and each.is_file())
    if not found:
        raise ValueError(
            f"folder {path!r} has no {' or '.join(suffixes)} file; name another folder, or a pattern such as '{path}/*'"
        )
    return named(found, place)


def named(files: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Return the files by their place in the folder."""
    return {file.relative_to(folder).as_posix(): file for file in files}


def _wanted(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.suffix.lower() in suffixes and not any(part.startswith(".") for part in path.parts)


def files_fingerprint(files: Mapping[str, Path]) -> str:
    """Return a digest of the files' bytes and of the names that they have here, wherever they lie."""
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(f"{name}\0{file_digest(file)}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(BYTES_READ_AT_ONCE):
            digest.update(piece)
    return digest.hexdigest()
