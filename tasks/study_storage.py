"""Where studies are kept: a journal file by default, a database by URL.

SQLite can hand one waiting trial to two workers, so it is not the default; neither the journal nor PostgreSQL does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from tasks.locks import file_lock


@contextmanager
def open_storage(where: str) -> Iterator[BaseStorage]:
    """Open the storage at a database URL, or in a journal file; connections are closed in the end."""
    if "://" in where:
        for bare in ("postgresql://", "postgres://"):
            where = where.replace(bare, "postgresql+psycopg://") if where.startswith(bare) else where
        database = RDBStorage(where, engine_kwargs={"pool_pre_ping": True})
        try:
            yield database
        finally:
            database.engine.dispose()
        return
    Path(where).parent.mkdir(parents=True, exist_ok=True)
    lock_file = Path(f"{where}.lock")
    with file_lock(lock_file):
        _repair(Path(where))
    yield JournalStorage(JournalFileBackend(where, lock_obj=_KernelLock(lock_file)))


def _repair(journal: Path) -> None:
    """Cut off a last line that a dying process left half written; the next entry would be glued to it."""
    if journal.exists() and (content := journal.read_bytes()) and not content.endswith(b"\n"):
        with journal.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


class _KernelLock(JournalFileOpenLock):
    """The lock of the journal. Optuna's own ones outlive a killed holder by half a minute; the kernel's does not."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = threading.local()

    def acquire(self) -> bool:
        """Wait for the lock and hold it in this thread."""
        self._held.stack = ExitStack()
        self._held.stack.enter_context(file_lock(self._path))
        return True

    def release(self) -> None:
        """Let it go."""
        self._held.stack.close()
