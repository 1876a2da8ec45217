"""Files behind a URL, by fsspec (https://filesystem-spec.readthedocs.io): S3, HTTP, memory and many more."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from lm_modules.data.inputs.files import InputFile, Wanted

CONTENT_MARKS = ("ETag", "etag", "Content-MD5", "md5Hash", "content_md5", "checksum", "Digest", "sha256", "version_id")
TIME_MARKS = ("LastModified", "Last-Modified", "last_modified", "mtime", "updated", "modified", "created")


def find_remote_files(path: str, wanted: Wanted) -> list[InputFile]:
    """Return the files behind a URL: the file itself, those of a folder that are wanted, or a pattern's.

    HTTP has no folders: a URL of it is one file, whatever stands behind its question mark.
    """
    system, root = _system(path)
    web = path.startswith(("http://", "https://"))
    try:
        if "*" in root or (not web and any(mark in root for mark in "?[")):
            folder = "/".join(root.split("/")[: _plain_parts(root)])
            found = {place: info for place, info in system.glob(root, detail=True).items() if info["type"] == "file"}
            if not found:
                raise ValueError(f"no file matches {path!r}; correct the pattern")
            return [_described(system, place, folder, info) for place, info in found.items()]
        info = system.info(root)
        if info.get("type") != "directory":
            name = PurePosixPath(unquote(urlsplit(path).path if web else root)).name
            return [InputFile(name, path, info.get("size") or 0, version(info))]
        found = system.find(root, detail=True)
    except (OSError, ImportError) as error:
        raise ValueError(f"{path!r} cannot be read ({_said(error)}); correct the URL, or its access") from error
    files = [_described(system, place, root, info) for place, info in found.items()]
    return [file for file in files if wanted(file.name)]


def _system(path: str) -> tuple[Any, str]:
    import fsspec

    try:
        return fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{path!r} cannot be opened: {error}") from error


def _plain_parts(root: str) -> int:
    """Return how many leading parts of a path are no pattern."""
    parts = root.split("/")
    return next((index for index, part in enumerate(parts) if any(mark in part for mark in "*?[")), len(parts))


def _described(system: Any, place: str, folder: str, info: dict[str, Any]) -> InputFile:
    name = place.removeprefix(folder).lstrip("/")
    return InputFile(name, system.unstrip_protocol(place), info.get("size") or 0, version(info))


def version(info: dict[str, Any]) -> str:
    """Return what changes when a remote file does: its size, and the mark or the time that its system keeps."""
    marks = [f"{name} {_moment(info[name])}" for name in (*CONTENT_MARKS, *TIME_MARKS) if info.get(name)]
    return ", ".join([f"{info.get('size')} bytes", *marks[:1]])


def _moment(value: Any) -> Any:
    """Return a time as seconds, because some systems list it in one type and tell it in another."""
    return value.timestamp() if isinstance(value, datetime) else value


def same_version(before: str, now: str) -> bool:
    """Return whether two versions can be of one file. What lists a file may know another mark than what opens it."""
    (size, _, mark), (size_now, _, mark_now) = before.partition(", "), now.partition(", ")
    same_kind = mark.partition(" ")[0] == mark_now.partition(" ")[0]
    return size == size_now and (mark == mark_now or not same_kind)


def tells_content(version: str) -> bool:
    """Return whether equal versions mean equal content: there is more than the size."""
    return ", " in version


def open_remote(place: str) -> BinaryIO:
    """Return the bytes behind a URL."""
    system, root = _system(place)
    return system.open(root, "rb")


def version_now(place: str) -> str:
    """Return the version that a remote file has at this moment."""
    system, root = _system(place)
    system.invalidate_cache()
    return version(system.info(root))


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
