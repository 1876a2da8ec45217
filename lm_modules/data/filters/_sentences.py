"""Counts sentences, roughly and fast."""

from __future__ import annotations

import re

END = re.compile(r"[.!?…؟۔।]+[\"'”’»)\]]*(?=\s|$)|[。！？]+[」』”’）]*")  # noqa: RUF001
"""Marks that end a sentence, with what closes after them; an abbreviation ends one too."""


def num_sentences(text: str) -> int:
    """Return how many sentences a text has; words after the last mark are one more."""
    count, end = 0, 0
    for found in END.finditer(text):
        count, end = count + 1, found.end()
    return count + bool(text[end:].strip())
