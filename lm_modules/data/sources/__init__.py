"""Where documents come from: one source a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from configs.component import Component
from lm_modules.data.documents import Document, Profile, Unreadable
from lm_modules.data.inputs.parts import Part


class Source(Component):
    """Yields documents, and what it could not read, one after the other."""

    fitting_profile: ClassVar[Profile] = "web"
    """The kind of text that such a source has, if it is not told."""

    name: str | None = None
    """What the reports and the filters call this source; null takes the kind."""
    profile: Profile | None = None
    """What kind of text this is, which decides what rules fit it: web (prose), wrapped (prose with lines broken at a
    width), code, docstrings or none; null takes what fits the kind of source."""
    language: str | None = Field(default=None, pattern="^[a-z]{2,3}$")
    """The language of all its documents by ISO 639 ("en"); null leaves it to be found out."""
    licence: str | None = None
    """The licence of the texts, for the data card."""
    origin: str | None = None
    """Where the texts come from, for the data card."""
    epochs: float = Field(default=1.0, gt=0)
    """How often its documents are read in training, where others are read once."""

    def names(self) -> tuple[str, ...]:
        """Return what the documents of this source carry as `source`; subsets of it are written `name/subset`."""
        return (self.name or self.kind,)

    def parts(self, part_bytes: int) -> list[Part]:
        """Return, in order, what can be read by itself, in pieces of about `part_bytes` where that is possible."""
        return [Part()]

    @abstractmethod
    def documents(self, part: Part | None = None) -> Iterator[Document | Unreadable]:
        """Yield the documents in a fixed order, those of a part or all. A missing input is a ValueError that names it.

        What the parts yield one after the other is what comes without a part, however large the parts are.
        """

    def check(self) -> None:
        """Raise the ValueError that `documents` would raise, as far as the first document that can be used tells."""
        next((each for each in self.documents() if not isinstance(each, Unreadable)), None)

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a digest of the content: equal digests mean equal documents."""

    def document(
        self,
        id: str,
        text: str,
        group: str | None = None,
        split: str | None = None,
        subset: str | None = None,
        profile: Profile | None = None,
    ) -> Document:
        """Return a document of this source, or of a `subset` of it; `profile` is what fits it, if that is known."""
        source = f"{self.name or self.kind}/{subset}" if subset else self.name or self.kind
        profile = self.profile or profile or self.fitting_profile
        return Document(id, text, source, group, split, profile, self.language)

    def unreadable(self, place: str, line: int | None, reason: str, excerpt: str = "") -> Unreadable:
        """Return what stands for a file or a line that could not be read."""
        return Unreadable(self.name or self.kind, place, line, reason, excerpt)
