"""Drops what is in no language, in another one than those wanted, or in too doubtful a one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from configs.base import nearest
from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._roots import chosen, limits_of
from lm_modules.data.languages import NO_LANGUAGE, identify, known_languages


class Language(Filter):
    """The rule of ROOTS on the language (Laurençon et al. 2022, arXiv 2303.03915, section 3.2), with its cutoffs.

    ROOTS identified with fastText, this with py3langid, whose confidence grows with the length of a text
    (see lm_modules/data/languages.py): texts under some 300 characters in a language with near neighbours may fall.
    """

    kind: Literal["language"] = "language"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    languages: tuple[str, ...] | None = None
    """Codes of the languages to keep (ISO 639-1, or 639-3 where there is none); null keeps all."""
    min_confidence: dict[str, float] = Field(default={})
    """Language (or "default" for all others) -> smallest confidence, in place of those of ROOTS (en 0.8, others
    0.7)."""

    @field_validator("languages")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for code in value or ():
            if code not in known_languages():
                raise ValueError(f"no language {code!r} can be identified{nearest(code, sorted(known_languages()))}")
        return value

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the reason when the language is not wanted, not certain, or not the one that the source says."""
        code, confidence = identify(document.text)
        if code is None or code == NO_LANGUAGE:
            return "in no language"
        if self.languages is not None and code not in self.languages:
            return f"not in {', '.join(self.languages)}"
        if document.language not in (None, code):
            return "not in the language that it is said to be in"
        least = chosen(self.min_confidence, code, limits_of(code).least_confidence)
        return f"language less certain than {least:g}" if confidence < least else None
