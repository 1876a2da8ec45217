"""What is written stays written: a rename after `to_disk` puts whole content in its place, or leaves what was there."""

from __future__ import annotations

import os
from pathlib import Path


def to_disk(path: Path) -> None:
    """Bring a file, or the entries of a directory, from the system's memory to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
