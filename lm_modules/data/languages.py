"""Tells the language of a text, with a model that comes in its package: py3langid, 140 labels, offline.

The model (Lui & Baldwin 2012, "langid.py"; retrained by its maintainers) weighs byte n-grams by naive Bayes. It reads
at most SAMPLE_CHARACTERS of a text, from its beginning, middle and end, so long texts take no longer than short ones.

The confidence is the probability of the language, from scores divided by the root of the bytes read. It grows with the
length of a text: languages with near neighbours (Indonesian beside Malay) reach 0.8 at 200 characters and 0.95 at
1,000. So a cutoff that ROOTS chose for fastText also asks for some length, and drops mixtures and what is hardly text.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

SAMPLE_CHARACTERS = 900
NO_LANGUAGE = "zxx"
"""The code of what is written in no language: code, numbers, markup."""


@lru_cache(maxsize=2)
def identify(text: str) -> tuple[str | None, float]:
    """Return the code of a language, of ISO 639-1 or else 639-3, and its probability; None and 0 if there is no word.

    What is no language at all has the code "zxx".
    """
    sample = _sample(text)
    if not any(map(str.isalpha, sample)):
        return None, 0.0
    code, confidence = _identifier().classify(sample)
    return str(code), float(confidence)


@cache
def known_languages() -> frozenset[str]:
    """Return the codes that `identify` can answer."""
    return frozenset(_identifier().labels)


def _sample(text: str) -> str:
    if len(text) <= SAMPLE_CHARACTERS:
        return text
    size, middle = SAMPLE_CHARACTERS // 3, len(text) // 2
    return "\n".join((text[:size], text[middle - size // 2 : middle - size // 2 + size], text[-size:]))


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
