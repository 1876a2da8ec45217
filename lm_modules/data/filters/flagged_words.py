"""Drops texts with many of the words on a list of yours."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._files import digest, read_text
from lm_modules.data.filters._roots import chosen, limits_of

if TYPE_CHECKING:
    from lm_modules.data.filters._word_lists import WordList


class FlaggedWords(Filter):
    """The rule of ROOTS on flagged words (Laurençon et al. 2022, arXiv 2303.03915, section 3.2).

    No list comes with it: which words a corpus should do without is for those who answer for it. Such lists also drop
    what is written about the people they offend (Dodge et al. 2021, arXiv 2104.08758, section 5.3).
    """

    kind: Literal["flagged_words"] = "flagged_words"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    files: dict[str, str] = Field(default={})
    """Language -> a file of its words, one a line; documents in other languages are kept."""
    max_share: dict[str, float] = Field(default={})
    """Language (or "default" for all others) -> largest share, in place of those of ROOTS (en 0.01, others 0.1)."""

    def check(self) -> None:
        """Raise a ValueError that names a list that is missing or empty."""
        for name in self.files.values():
            if not read_text(name, "the flagged words").split():
                raise ValueError(f"the flagged words: {name} is empty; write one word a line")

    def fingerprint(self) -> str:
        """Return a digest of the lists."""
        return digest(self.files.values())

    def cannot_judge(self, language: str | None) -> str | None:
        """Return why it leaves out languages without a list."""
        return None if language in self.files else "`files` has no list for it"

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the reason when the share is above that of the language."""
        language = document.language
        if language is None or language not in self.files:
            return None
        most = chosen(self.max_share, language, limits_of(language).most_flagged_words)
        share = _words(self.files[language], language).share(document.text)
        return f"more than {most:g} of the words are flagged" if share is not None and share > most else None


@cache
def _words(file: str, language: str) -> WordList:
    from lm_modules.data.filters._word_lists import WordList

    return WordList(read_text(file, "the flagged words").splitlines(), language)
