"""How the scripts of SQuAD compare texts: by their words, without case, punctuation and articles."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

PUNCTUATION = dict.fromkeys(map(ord, string.punctuation))
ARTICLES = re.compile(r"\b(a|an|the)\b")


def words_of(text: str) -> list[str]:
    """Return the words of an answer as `evaluate-v2.0.py` of SQuAD normalises them."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def references_of(reference: str | Sequence[str]) -> list[list[str]]:
    """Return the words of every right answer that has any; where none has, no words are right."""
    texts = [reference] if isinstance(reference, str) else reference
    return [words for words in map(words_of, texts) if words] or [[]]
