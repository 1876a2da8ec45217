"""Text files that a filter reads, once in each process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def read_text(name: str, what: str) -> str:
    """Return the text of a file in UTF-8; a ValueError says what is wrong with it."""
    try:
        return Path(name).expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"{what}: {name} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{what}: {name} cannot be read as UTF-8 text ({error})") from None


def digest(names: Iterable[str]) -> str:
    """Return a digest of the content of files."""
    contents = (hashlib.sha256(Path(name).expanduser().read_bytes()).digest() for name in names)
    return hashlib.sha256(b"".join(contents)).hexdigest()
