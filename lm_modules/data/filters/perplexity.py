"""Drops texts that surprise a small model of text that you call good."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._files import digest, read_text

if TYPE_CHECKING:
    from lm_modules.data.filters._character_model import CharacterModel

HELD_OUT = 0.1
FEWEST_CHARACTERS, MOST_CHARACTERS = 20_000, 1_000_000


class Perplexity(Filter):
    """The rule of ROOTS on perplexity (after CCNet: Wenzek et al. 2019, arXiv 1911.00359), with a model of your own.

    Theirs are KenLM models of Wikipedia, with limits that mean nothing elsewhere. Here each process counts the
    characters of the file of good text that you name (its first million; a second), and a document is measured against
    the last tenth of that text, which is not counted. It tells noise, code and other languages from prose; it does not
    tell good prose from bad.
    """

    kind: Literal["perplexity"] = "perplexity"
    profiles: tuple[Profile, ...] | None = ("web", "wrapped")
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    good_texts: dict[str, str] = Field(default={})
    """Language -> a file of good text in it, 20,000 characters or more; documents in other languages are kept."""
    max_times: float = Field(default=5.0, gt=0)
    """Largest perplexity of a character, as a multiple of that of the good text's last tenth."""

    def check(self) -> None:
        """Raise a ValueError that names a file that is missing or too short."""
        for name in self.good_texts.values():
            _good_text(name)

    def fingerprint(self) -> str:
        """Return a digest of the good texts."""
        return digest(self.good_texts.values())

    def cannot_judge(self, language: str | None) -> str | None:
        """Return why it leaves out languages without a good text."""
        return None if language in self.good_texts else "`good_texts` has none in it"

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the reason when the text is too surprising."""
        if document.language is None or document.language not in self.good_texts:
            return None
        model, usual_bits = _trained(self.good_texts[document.language])
        bits = model.bits_per_character(document.text)
        if bits is not None and 2.0 ** (bits - usual_bits) > self.max_times:
            return f"perplexity more than {self.max_times:g} times that of good text"
        return None


class _Trained(NamedTuple):
    model: CharacterModel
    usual_bits: float


@cache
def _trained(file: str) -> _Trained:
    from lm_modules.data.filters._character_model import CharacterModel

    text = _good_text(file)
    cut = round(len(text) * (1 - HELD_OUT))
    model = CharacterModel(text[:cut])
    usual_bits = model.bits_per_character(text[cut:])
    assert usual_bits is not None
    return _Trained(model, usual_bits)


def _good_text(file: str) -> str:
    text = read_text(file, "the good text")[:MOST_CHARACTERS]
    if len(text) < FEWEST_CHARACTERS:
        raise ValueError(
            f"the good text: {file} has {len(text)} characters; {FEWEST_CHARACTERS} are needed to know a language"
        )
    return text
