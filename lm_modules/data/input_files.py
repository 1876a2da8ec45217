"""The files of this machine that a user named, and digests of files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

BYTES_READ_AT_ONCE = 1 << 20


def input_files(path: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the files behind `path` by their names, as `find_files` finds them, for readers that open files alone.

    Links are followed, other than to folders; what is compressed is left out unless it is named.
    """
    from lm_modules.data.inputs.files import find_files, is_url, no_files

    if is_url(path):
        raise ValueError(f"{path!r} is a URL, and only files of this machine are read here; copy it")
    found = {file.name: Path(file.place) for file in find_files(path, suffixes, follow_links=True) if not file.problem}
    if Path(path).expanduser().is_dir():
        found = {name: file for name, file in found.items() if file.suffix.lower() in suffixes}
    if not found:
        raise no_files(path, suffixes)
    return found


def named(files: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Return the files by their place in the folder."""
    return {file.relative_to(folder).as_posix(): file for file in files}


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
