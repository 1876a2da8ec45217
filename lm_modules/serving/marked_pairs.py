"""Two entities of a text, marked for a model by punctuation; copied into every registered model of relations.

    head "Ada Byron" [0, 9], a person; tail "London" [22, 28], a place
    @ * person * Ada Byron @ was born in # ^ place ^ London #

These are the typed entity markers of Zhou and Chen 2021 (arXiv 2102.01373, section 3.1): every tokenizer knows them, so
no token is added. Without types `@ Ada Byron @` and `# London #` are left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

_SIGNS = (("@", "*"), ("#", "^"))
_TAGGED = tuple(re.compile(rf"<e{number}>(.*?)</e{number}>", re.DOTALL) for number in (1, 2))
_TAG = re.compile(r"</?e[12]>")
CUT = " ... "

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """A text with the places [start, end] of two entities in it, and their types where these are to be told."""

    text: str
    head: Span
    tail: Span
    head_type: str | None = None
    tail_type: str | None = None

    def marked(self) -> str:
        """Return the text with both entities marked."""
        marks = []
        spans, types = (self.head, self.tail), (self.head_type, self.tail_type)
        for rank, (span, type, signs) in enumerate(zip(spans, types, _SIGNS, strict=True)):
            typed = f"{signs[1]} {type} {signs[1]} " if type else ""
            length = span[1] - span[0]
            # of two that begin or end at one place, the longer one is around the other
            marks.append((span[0], 1, -length, rank, f"{signs[0]} {typed}"))
            marks.append((span[1], 0, length, -rank, f" {signs[0]}"))
        parts, before = [], 0
        for place, *_, mark in sorted(marks):
            parts += [self.text[before:place], mark]
            before = place
        return "".join([*parts, self.text[before:]])

    def cut_to(self, begin: int, end: int) -> Pair:
        """Return a part of the text that holds both."""
        return replace(self, text=self.text[begin:end], head=_moved(self.head, -begin), tail=_moved(self.tail, -begin))

    def cut_between(self, kept: int) -> Pair:
        """Return the pair with so many characters after the one and before the other left of what is between."""
        first, second = sorted((self.head, self.tail))
        begin, end = first[1] + kept, second[0] - kept
        moved = begin + len(CUT) - end
        return replace(
            self,
            text=self.text[:begin] + CUT + self.text[end:],
            head=_moved(self.head, moved * (self.head == second)),
            tail=_moved(self.tail, moved * (self.tail == second)),
        )


def _moved(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by


def has_tags(text: str) -> bool:
    """Return whether a text has any of the tags, right or wrong."""
    return _TAG.search(text) is not None


def from_tags(text: str) -> Pair:
    """Return the pair of a text with `<e1>...</e1>` around its head and `<e2>...</e2>` around its tail."""
    if len(_TAG.findall(text)) != 4 or not all(pattern.search(text) for pattern in _TAGGED):
        raise ValueError("text has not <e1>...</e1> and <e2>...</e2> once each")

    def span(number: int) -> Span:
        start, end = (text.index(f"<{slash}e{number}>") for slash in ("", "/"))
        return len(_TAG.sub("", text[:start])), len(_TAG.sub("", text[:end]))

    return Pair(_TAG.sub("", text), span(1), span(2))


def fitting(pair: Pair, fits: Callable[[str], bool]) -> str:
    """Return the marked text, or as much of it as `fits`: what is around the two goes first, then what is between."""
    whole = pair.marked()
    if fits(whole):
        return whole
    first, last = min(pair.head[0], pair.tail[0]), max(pair.head[1], pair.tail[1])

    def around(margin: int) -> Pair:
        begin, end = max(0, first - margin), min(len(pair.text), last + margin)
        if begin > 0 and (space := pair.text.find(" ", begin, first)) >= 0:
            begin = space + 1
        if end < len(pair.text) and (space := pair.text.rfind(" ", last, end)) >= 0:
            end = space
        return pair.cut_to(begin, end)

    margin = _largest(max(first, len(pair.text) - last), lambda margin: fits(around(margin).marked()))
    if margin is not None:
        return around(margin).marked()
    close = pair.cut_to(first, last)
    one, other = sorted((close.head, close.tail))
    room = (other[0] - one[1] - len(CUT)) // 2
    if room < 0:
        return close.marked()
    kept = _largest(room, lambda kept: fits(close.cut_between(kept).marked()))
    return close.cut_between(kept or 0).marked()


def _largest(most: int, is_right: Callable[[int], bool]) -> int | None:
    """Return the largest number from 0 to `most` for which something is right that is for all below it."""
    if not is_right(0):
        return None
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_right(middle) else (low, middle - 1)
    return low
