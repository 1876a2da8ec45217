"""What keeps or drops a document: one filter a file."""

from __future__ import annotations

from abc import abstractmethod

from configs.component import Component
from lm_modules.data.documents import Document, Profile


class Filter(Component):
    """Keeps a document or gives the reason to drop it."""

    sources: tuple[str, ...] | None = None
    """The sources that it judges (`name` also means all of `name/part`); null judges every document.

    Rules made for prose drop most of a source that is code, so name the sources that are prose.
    """
    profiles: tuple[Profile, ...] | None = None
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""

    def judges(self, document: Document) -> bool:
        """Whether this filter is for the document's source, or else for its kind of text."""
        if self.sources is None:
            return self.profiles is None or document.profile in self.profiles
        return any(document.source == name or document.source.startswith(f"{name}/") for name in self.sources)

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
