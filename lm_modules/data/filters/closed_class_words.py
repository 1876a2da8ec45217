"""Drops texts with few of the small words that sentences need: lists of names, keywords, menus."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._roots import chosen, limits_of
from lm_modules.data.filters._scripts import WITHOUT_SPACES

if TYPE_CHECKING:
    from lm_modules.data.filters._word_lists import WordList

BREADTH = {
    **{"ar": 1.08, "bn": 14.9, "ca": 0.91, "en": 1.21, "es": 1.11, "eu": 0.52, "fr": 1.05},
    **{"hi": 5.8, "id": 1.23, "pt": 1.16, "ur": 6.9, "vi": 0.78, "zh": 0.48},
}
"""How much more of clean text the lists of stopwordsiso cover than those of ROOTS: the quotient of the medians over
documents of ten sentences (UD-PUD; the Declaration of Human Rights for bn, ca, eu, ur and vi, which that lacks)."""


class ClosedClassWords(Filter):
    """The rule of ROOTS on closed-class words (Laurençon et al. 2022, arXiv 2303.03915, section 3.2).

    The words are those of the package stopwordsiso. Its lists are of other breadth than those of ROOTS, so the shares
    that ROOTS asks for are multiplied by how much more of clean text they cover.
    """

    kind: Literal["closed_class_words"] = "closed_class_words"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    min_share: dict[str, float] = Field(default={})
    """Language (or "default" for all others) -> smallest share, in place of those of ROOTS for the lists used here
    (en 0.363, others 0.1)."""

    def cannot_judge(self, language: str | None) -> str | None:
        """Return why it leaves out languages without a list."""
        if language is None:
            return "the language is not known"
        if language in WITHOUT_SPACES - BREADTH.keys():
            return "words of several characters cannot be found where no spaces stand between them"
        return None if _words(language) else "stopwordsiso has no list for it"

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the reason when the share is below that of the language."""
        language = document.language
        if language is None or self.cannot_judge(language):
            return None
        breadth = BREADTH.get(language, 1.0)
        least = chosen(self.min_share, language, limits_of(language).least_closed_class_words * breadth)
        words = _words(language)
        share = words.share(document.text) if words else None
        if share is not None and share < least:
            return f"fewer than {least:.3g} of the words are of closed classes"
        return None


@cache
def _words(language: str) -> WordList | None:
    import stopwordsiso

    from lm_modules.data.filters._word_lists import WordList

    return WordList(sorted(stopwordsiso.stopwords(language)), language) if stopwordsiso.has_lang(language) else None
