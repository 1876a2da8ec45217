"""Who does the work on the parts of a corpus: one engine a file."""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import ClassVar

from configs.component import Component


class Engine(Component):
    """Gives an executor (PEP 3148), to which the work on each part is handed as a function and its arguments."""

    has_other_machines: ClassVar[bool] = False
    """Whether more cores work than those of this machine; what uses all of these by threads is else done here."""

    @abstractmethod
    def executor(self, most: int) -> AbstractContextManager[Executor | None]:
        """Open an executor for at most so many pieces of work at a time; None means to do them here, in order."""
