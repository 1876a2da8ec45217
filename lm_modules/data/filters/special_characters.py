"""Drops texts that are mostly digits, punctuation, symbols and white space."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._roots import chosen, limits_of

BREADTH = {"ar": 0.91, "bn": 0.74, "hi": 0.55, "ur": 1.06, "zh": 0.91}
"""How much more of clean text is special here than by the list of ROOTS, where that is not the same: the quotient of
the medians over documents of ten sentences (UD-PUD; the Declaration of Human Rights for bn and ur)."""


class SpecialCharacters(Filter):
    """The rule of ROOTS on special characters (Laurençon et al. 2022, arXiv 2303.03915, section 3.2).

    ROOTS lists them; here they are what Unicode calls neither a letter nor a mark. That is the same in Latin script. In
    some others the list holds vowel signs, or lacks the full stop: there the shares of ROOTS are multiplied by the
    difference that this makes in clean text.
    """

    kind: Literal["special_characters"] = "special_characters"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    max_share: dict[str, float] = Field(default={})
    """Language (or "default" for all others) -> largest share, in place of those of ROOTS (en 0.4, ar 0.3)."""

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the reason when the share is above that of the language."""
        from lm_modules.data.filters._shares import special_characters

        of_roots = limits_of(document.language).most_special_characters * BREADTH.get(document.language or "", 1.0)
        most = chosen(self.max_share, document.language, of_roots)
        if special_characters(document.text) > most:
            return f"more than {most:.3g} of the characters are neither letters nor marks"
        return None
