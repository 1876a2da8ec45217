"""What rewrites a document: one cleaner a file."""

from __future__ import annotations

from abc import abstractmethod

from configs.component import Component


class Cleaner(Component):
    """Rewrites a text; a second run changes nothing more."""

    @abstractmethod
    def clean(self, text: str) -> str:
        """Return the text, rewritten."""
