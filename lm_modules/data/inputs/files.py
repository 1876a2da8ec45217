"""Finds the files behind a path: a file, a folder, a pattern, or a URL; and says what to do when there are none."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from glob import has_magic
from itertools import takewhile
from pathlib import Path, PurePosixPath

from lm_modules.data.inputs.compression import without_compression

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
Wanted = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read. `name` is its place in its folder, by which its documents are called; `place` is where it lies.

    `version` changes when the file does. A file with a `problem` is not read: the problem goes to the ledger.
    """

    name: str
    place: str
    num_bytes: int = 0
    version: str = ""
    problem: str = ""


def find_files(path: str, suffixes: tuple[str, ...], follow_links: bool = False) -> list[InputFile]:
    """Return the files behind `path`, sorted by name: the file itself, those of a folder with suffixes, or a pattern's.

    A name is the place in the folder, or below the part of the pattern that is no pattern (`a/b.txt` of
    `books/a/b.txt`). So no two are the same, and a folder may be moved. Folders are searched to their depths, for files
    that may be compressed too (`.txt.gz`); hidden files are left out. None at all is a ValueError.
    """
    if is_url(path):
        from lm_modules.data.inputs.remote import find_remote_files

        found = find_remote_files(path, lambda name: has_suffix(name, suffixes))
    else:
        found = _local(path.removeprefix("file://"), suffixes, follow_links)
    if not found:
        raise no_files(path, suffixes)
    return sorted(found, key=lambda file: file.name.split("/"))


def no_files(path: str, suffixes: tuple[str, ...]) -> ValueError:
    """Return the error for a folder without files of a format."""
    wanted = " or ".join(suffixes)
    return ValueError(f"folder {path!r} has no {wanted} file; name another folder, or a pattern such as '{path}/*'")


def is_url(path: str) -> bool:
    """Return whether a path is one for fsspec (`s3://...`) and not of this machine."""
    return bool(URL.match(path)) and not path.startswith("file://")


def has_suffix(name: str, suffixes: tuple[str, ...]) -> bool:
    """Return whether a file is of a format: it has one of the suffixes, perhaps compressed, and is not hidden."""
    place = PurePosixPath(without_compression(name))
    return place.suffix.lower() in suffixes and not any(part.startswith(".") for part in place.parts)


def _local(path: str, suffixes: tuple[str, ...], follow_links: bool) -> list[InputFile]:
    place = Path(path).expanduser()
    if has_magic(path) and not place.exists():
        folder = Path(*takewhile(lambda part: not has_magic(part), place.parts))
        if not (found := _described(_matches(folder, place.relative_to(folder)), folder, follow_links)):
            raise ValueError(f"no file matches {path!r} (in {Path.cwd()}); correct the pattern")
        return found
    if not place.exists():
        raise ValueError(f"{path!r} does not exist (in {Path.cwd()}); correct the path")
    if place.is_file():
        return [_described_one(place, place.name)]
    if not place.is_dir():
        raise ValueError(f"{path!r} is neither a file nor a folder; name one")
    unlisted: list[InputFile] = []
    paths: list[Path] = []
    for parent, folders, files in os.walk(place, onerror=lambda error: unlisted.append(_unlisted(error, place))):
        folders[:] = [each for each in folders if not each.startswith(".")]
        # what is a link to a folder is not walked, and must be told
        paths += [Path(parent, each) for each in folders if os.path.islink(Path(parent, each))]
        paths += [Path(parent, each) for each in files if has_suffix(each, suffixes)]
    return _described(paths, place, follow_links) + unlisted


def _matches(folder: Path, pattern: Path) -> Iterator[Path]:
    """Yield what matches a pattern in a folder; `**` goes to all depths, but through no links: they may be circles."""
    hidden_too = any(part.startswith(".") for part in pattern.parts)
    for path in folder.glob(str(pattern / "*" if pattern.name == "**" else pattern)):
        if hidden_too or not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _described(paths: Iterable[Path], folder: Path, follow_links: bool) -> list[InputFile]:
    """Return the files among the paths; a link is followed to a file in the folder, and to others if so wished."""
    home = os.path.realpath(folder)
    found = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and path.is_dir():
            found.append(InputFile(name, str(path), problem="a link to a folder, not followed; name that folder too"))
        elif path.is_symlink() and not path.exists():
            found.append(InputFile(name, str(path), problem="a link to nothing"))
        elif path.is_dir():
            continue
        elif not path.is_file():
            found.append(InputFile(name, str(path), problem="neither a file nor a folder"))
        elif not follow_links and not Path(os.path.realpath(path)).is_relative_to(home):
            reason = "a link out of the folder, not followed; copy the file, or set follow_links"
            found.append(InputFile(name, str(path), problem=reason))
        else:
            found.append(_described_one(path, name))
    return found


def _described_one(path: Path, name: str) -> InputFile:
    try:
        status = path.stat()
    except OSError as error:
        return InputFile(name, str(path), problem=f"cannot be read: {error.strerror}")
    return InputFile(name, str(path), status.st_size, local_version(status))


def _unlisted(error: OSError, folder: Path) -> InputFile:
    path = Path(str(error.filename))
    return InputFile(path.relative_to(folder).as_posix(), str(path), problem=f"cannot be listed: {error.strerror}")


def local_version(status: os.stat_result) -> str:
    """Return what changes when a file of this machine does."""
    return f"{status.st_size} bytes, changed {status.st_mtime_ns}"
