"""What rewrites a document: one cleaner a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from lm_modules.data.chosen import Chosen


class Cleaner(Chosen):
    """Rewrites the texts of the documents that it is for; a second run changes nothing more."""

    @abstractmethod
    def clean(self, text: str) -> str:
        """Return the text, rewritten."""

    def replaced(self, before: str, after: str) -> Mapping[str, int]:
        """Return how often each kind of thing was replaced ({"EMAIL": 2}), for the ledger; most replace none."""
        return {}
