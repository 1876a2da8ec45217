"""What keeps or drops a document: one filter a file."""

from __future__ import annotations

from abc import abstractmethod

from configs.component import Component
from lm_modules.data.documents import Document


class Filter(Component):
    """Keeps a document or gives the reason to drop it. A word is what stands between white space."""

    sources: tuple[str, ...] | None = None
    """The sources that it judges (`name` also means all of `name/part`); null judges every document.

    Rules made for prose drop most of a source that is code, so name the sources that are prose.
    """

    def judges(self, document: Document) -> bool:
        """Whether this filter is for the document's source."""
        return self.sources is None or any(
            document.source == name or document.source.startswith(f"{name}/") for name in self.sources
        )

    @abstractmethod
    def reason_to_drop(self, document: Document) -> str | None:
        """Return a short reason without figures of the document, so that reasons can be counted; None keeps it."""
