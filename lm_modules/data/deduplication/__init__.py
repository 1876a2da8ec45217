"""How copies are found: one way a file."""

from __future__ import annotations

from abc import abstractmethod

from configs.component import Component


class Deduplication(Component):
    """Gives equal keys to texts that count as copies; the first of them is kept."""

    @abstractmethod
    def key(self, text: str) -> bytes:
        """Return a digest that copies share."""
