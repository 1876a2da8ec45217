"""The limits that ROOTS chose for each language, which its filters share.

From the released code of the corpus (Laurençon et al. 2022, arXiv 2303.03915, section 3.2 and appendix; bigscience-
workshop/data-preparation, 01b_oscar_cleaning_and_filtering/parameters_filtering.py). The limits of perplexity are not
here: they belong to models of that project.
"""

from __future__ import annotations

from typing import NamedTuple

DEFAULT = "default"


class Limits(NamedTuple):
    """What ROOTS asks of a document in one language; shares are of all, "most" and "least" are included."""

    least_words: int
    character_ngram: int
    most_character_repetition: float
    word_ngram: int
    most_word_repetition: float
    most_special_characters: float
    least_closed_class_words: float
    most_flagged_words: float
    least_confidence: float


LIMITS = {
    #                words  n  repeat  n  repeat special closed flagged  language
    DEFAULT: Limits(10, 10, 0.20, 5, 0.30, 0.40, 0.1, 0.1, 0.70),
    "ar": Limits(20, 10, 0.20, 5, 0.34, 0.30, 0.07, 0.03, 0.81),
    "bn": Limits(33, 10, 0.13, 5, 0.21, 0.45, 0.002, 0.001, 0.95),
    "ca": Limits(15, 10, 0.20, 5, 0.40, 0.25, 0.25, 0.1, 0.80),
    "en": Limits(20, 10, 0.106, 5, 0.19, 0.40, 0.3, 0.01, 0.80),
    "es": Limits(16, 10, 0.14, 5, 0.25, 0.34, 0.4, 0.01, 0.80),
    "eu": Limits(8, 10, 0.20, 5, 0.40, 0.31, 0.05, 0.1, 0.70),
    "fr": Limits(13, 10, 0.14, 5, 0.13, 0.34, 0.27, 0.008, 0.80),
    "hi": Limits(38, 10, 0.18, 5, 0.47, 0.45, 0.01, 0.005, 0.90),
    "id": Limits(15, 10, 0.15, 5, 0.20, 0.34, 0.15, 0.01, 0.70),
    "pt": Limits(19, 10, 0.25, 5, 0.98, 0.35, 0.2, 0.007, 0.60),
    "ur": Limits(25, 10, 0.19, 7, 0.50, 0.25, 0.01, 0.025, 0.90),
    "vi": Limits(30, 10, 0.15, 5, 0.20, 0.34, 0.08, 0.005, 0.90),
    "zh": Limits(1, 3, 0.20, 5, 0.96, 0.30, 0.1691, 0.001, 0.85),
}
LANGUAGES = frozenset(LIMITS) - {DEFAULT}


def limits_of(language: str | None) -> Limits:
    """Return the limits of a language; those that ROOTS did not tune share one row."""
    return LIMITS.get(language or DEFAULT, LIMITS[DEFAULT])


def chosen(own: dict[str, float], language: str | None, of_roots: float) -> float:
    """Return the limit that a user gave for a language, or by "default" for all others, or else that of ROOTS."""
    return own.get(language or DEFAULT, own.get(DEFAULT, of_roots))
