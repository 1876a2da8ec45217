"""Tells the language of a text, with a model that comes in its package: py3langid, 140 labels, offline.

The model (Lui & Baldwin 2012, "langid.py"; retrained by its maintainers) weighs byte n-grams by naive Bayes. It reads
at most SAMPLE_CHARACTERS of a text, from its beginning, middle and end, so long texts take no longer than short ones.

The confidence is the probability of the language, from scores divided by the root of the bytes read. It grows with the
length of a text: languages with near neighbours (Indonesian beside Malay) reach 0.8 at 200 characters and 0.95 at
1,000. So a cutoff that ROOTS chose for fastText also asks for some length, and drops mixtures and what is hardly text.

Between two neighbours the byte n-grams are hardly more than chance; words that one of them alone writes decide.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache, lru_cache
from typing import Any

SAMPLE_CHARACTERS = 900
NO_LANGUAGE = "zxx"
"""The code of what is written in no language: code, numbers, markup."""
OWN_WORDS = {
    "id": "bahwa karena berbeda uang kantor resmi inggris agustus maret juli perusahaan universitas bisa saat",
    "ms": "bahawa kerana berbeza pejabat rasmi inggeris ogos julai syarikat universiti sebarang hendaklah",
    "hr": "tko netko nitko itko svatko obitelj obitelji povijest europa tisuća točno vlak sveučilište siječnja tjedan",
    "bs": "ko neko niko iko svako porodica porodice historija evropa hiljada tačno voz univerzitet januara sedmica",
}
"""Common words that the standard of one language spells or says so, and its neighbour's otherwise."""
NEIGHBOURS = {"id": "ms", "ms": "id", "hr": "bs", "bs": "hr"}


@lru_cache(maxsize=2)
def identify(text: str) -> tuple[str | None, float]:
    """Return the code of a language, of ISO 639-1 or else 639-3, and its probability; None and 0 if there is no word.

    What is no language at all has the code "zxx".
    """
    sample = _sample(text)
    if not any(map(str.isalpha, sample)):
        return None, 0.0
    code, confidence = _identifier().classify(sample)
    return _nearest(str(code), sample), float(confidence)


def _nearest(code: str, sample: str) -> str:
    """Return the language, or its neighbour if more of the words are the neighbour's own."""
    if code not in NEIGHBOURS:
        return code
    words = Counter(re.findall(r"\w+", sample.lower()))
    own, other = (sum(words[each] for each in OWN_WORDS[name].split()) for name in (code, NEIGHBOURS[code]))
    return NEIGHBOURS[code] if other > own else code


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
