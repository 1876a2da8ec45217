"""Where personal data stands in a text, and how a finder looks at what stands around it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

CONTEXT_CHARACTERS = 40


class Span(NamedTuple):
    """Characters `start` to before `end` of a text."""

    start: int
    end: int
    kind: str


def before(text: str, start: int) -> str:
    """Return the end of what stands before a place, for rules that ask what a number is called."""
    return text[max(start - CONTEXT_CHARACTERS, 0) : start]


def apart(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, and of overlapping ones the first, or the longer of two that begin together."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
