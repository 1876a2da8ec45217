"""Memory that is asked for again and again stays with the process.

glibc gives blocks beyond 32 MB back to the system as soon as they are free, and smaller ones from the end of the heap.
A step of training frees what the next one asks for, and the system hands it out anew page by page, filled with zeros:
with 15 million parameters and 4,096 tokens a step that was 20,000 to 70,000 pages, and 6 to 9 % of the time on 2 cores
(see docs/log.md).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# parameters of mallopt(3), and what they are by themselves
TRIM_THRESHOLD, MMAP_MAX = -1, -4
NEVER, AS_IT_WAS = {TRIM_THRESHOLD: -1, MMAP_MAX: 0}, {TRIM_THRESHOLD: 128 * 1024, MMAP_MAX: 65536}


class TooLarge(ValueError):  # noqa: N818 (says what happened)
    """A single row does not fit into memory, or the optimizer does not."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep in this block what is freed, for all threads of the process; afterwards it goes back to the system.

    Without glibc it does nothing.
    """
    libc = _glibc()
    if libc is None:
        yield
        return
    _set(libc, NEVER)
    try:
        yield
    finally:
        _set(libc, AS_IT_WAS)
        libc.malloc_trim(0)


def _set(libc: Any, options: dict[int, int]) -> None:
    for option, value in options.items():
        libc.mallopt(option, value)


def _glibc() -> Any:
    """Return the C library of this process if it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
