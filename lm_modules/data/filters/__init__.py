"""What keeps or drops a document: one filter a file."""

from __future__ import annotations

from abc import abstractmethod

from lm_modules.data.chosen import Chosen
from lm_modules.data.documents import Document


class Filter(Chosen):
    """Keeps a document or gives the reason to drop it."""

    def check(self) -> None:
        """Raise a ValueError that names a file it needs and cannot use."""
        return None

    def fingerprint(self) -> str:
        """Return a digest of the files that it reads, for the fingerprint of the corpus; "" if it reads none."""
        return ""

    def cannot_judge(self, language: str | None) -> str | None:
        """Return what it leaves out for a language, and why; None if it judges it whole. It never drops what it cannot
        judge."""
        return None

    @abstractmethod
    def reason_to_drop(self, document: Document) -> str | None:
        """Return a short reason without figures of the document, so that reasons can be counted; None keeps it."""
