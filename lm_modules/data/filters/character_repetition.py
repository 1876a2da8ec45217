"""Drops texts of which a few runs of characters make up much: templates, tables, loops."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._roots import chosen, limits_of


class CharacterRepetition(Filter):
    """The rule of ROOTS on repeated characters (Laurençon et al. 2022, arXiv 2303.03915, section 3.2).

    Of all runs of ten characters (three in Chinese), the share that the commonest runs have: as many different runs as
    the root of the number of different ones, but none that occurs once.
    """

    kind: Literal["character_repetition"] = "character_repetition"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    max_share: dict[str, float] = Field(default={})
    """Language (or "default" for all others) -> largest share, in place of those of ROOTS (en 0.106, others 0.2)."""

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the reason when the share is above that of the language."""
        from lm_modules.data.filters._shares import repeated_characters

        limits = limits_of(document.language)
        most = chosen(self.max_share, document.language, limits.most_character_repetition)
        if repeated_characters(document.text, limits.character_ngram) > most:
            return f"more than {most:g} of the runs of characters are the commonest ones"
        return None
