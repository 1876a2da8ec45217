"""Which documents a component is for."""

from __future__ import annotations

from configs.component import Component
from lm_modules.data.documents import Document, Profile


class Chosen(Component):
    """A component that is for some documents only: rules made for one kind of text harm another."""

    sources: tuple[str, ...] | None = None
    """The sources that it is for (`name` also means all of `name/part`); null leaves it to `profiles`."""
    profiles: tuple[Profile, ...] | None = None
    """The kinds of text that it is for, where `sources` does not say which; null means all kinds."""

    def is_for(self, document: Document) -> bool:
        """Whether it is for the document's source, or else for its kind of text."""
        if self.sources is None:
            return self.profiles is None or document.profile in self.profiles
        return any(document.source == name or document.source.startswith(f"{name}/") for name in self.sources)
