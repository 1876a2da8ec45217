"""Where documents come from: one source a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from configs.component import Component
from lm_modules.data.documents import Document, Unreadable


class Source(Component):
    """Yields documents, and what it could not read, one after the other."""

    name: str | None = None
    """What the reports and the filters call this source; null takes the kind."""

    def names(self) -> tuple[str, ...]:
        """Return what the documents of this source carry as `source`; parts are written `name/part`."""
        return (self.name or self.kind,)

    @abstractmethod
    def documents(self) -> Iterator[Document | Unreadable]:
        """Yield the documents in a fixed order. A missing input is a ValueError that names it."""

    def check(self) -> None:
        """Raise the ValueError that `documents` would raise, as far as the first document that can be used tells."""
        next((each for each in self.documents() if not isinstance(each, Unreadable)), None)

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a digest of the content: equal digests mean equal documents."""
