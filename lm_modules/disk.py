"""Whole or not at all, whenever a process is killed: what is renamed after `to_disk`, and what `remove` takes away."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def to_disk(path: Path) -> None:
    """Bring a file, or the entries of a directory, from the system's memory to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(directory: Path) -> None:
    """Remove a directory if it is there: out of its place at once, so nobody takes what is left of it for the whole."""
    removed = directory.with_name(f"{directory.name}.removed")
    shutil.rmtree(removed, ignore_errors=True)  # what a kill has left
    if directory.is_symlink():
        directory.unlink()
    elif directory.exists():
        directory.rename(removed)
        shutil.rmtree(removed)
