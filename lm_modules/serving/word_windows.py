"""Words of a text, and the windows of tokens in which a model reads them.

Words are put together with spaces and cut as any text is, so that a model meets the tokens that it was pretrained on,
whatever its tokenizer does about spaces. Copied into every registered model that labels words.

    words     Redondo         Beach       Blvd         .
    tokens    ĠRed  ond  o    ĠBeach      ĠBl  vd      Ġ.
    asked     ^               ^           ^            ^      (their first pieces)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

OVERLAP = 4
"""Windows share this part of their tokens: a fourth."""

_WITHOUT_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(
    rf"https?://\S+|[@#]\w+|[{_WITHOUT_SPACES}]|\d+(?:[.,:]\d+)+|(?:[^\W\d_]\.){{2,}}"
    rf"|[^\W{_WITHOUT_SPACES}]+(?:-[^\W{_WITHOUT_SPACES}]+)*|['\u2019]\w+|\S"
)


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens that a model reads at once."""

    token_ids: list[int]
    places: list[tuple[int, int]]
    """(place of a token, number of its word) of all words that are answered from this window."""


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text begin and end, apart from the punctuation beside them.

    Addresses, @names, #tags, numbers and abbreviations stay whole; where a script sets no spaces, letters are words.
    """
    return [found.span() for found in _WORD.finditer(text)]


def windows(words: Sequence[str], tokenizer: Any, piece: str = "first") -> list[Window]:
    """Return the words in windows of at most `tokenizer.model_max_length` tokens.

    Every word is answered from its first or last piece, in the window in which that is farthest from where the text is
    cut. A word of which the tokenizer leaves nothing (a control character) is in none.
    """
    before, token_ids, behind, word_of = _tokens(words, tokenizer)
    room = max(1, tokenizer.model_max_length - len(before) - len(behind))
    asked: dict[int, int] = {}
    for place, word in enumerate(word_of):
        if word is not None and (piece == "last" or word not in asked):
            asked[word] = place
    starts = [0]
    while starts[-1] + room < len(token_ids):
        starts.append(min(starts[-1] + max(1, room - room // OVERLAP), len(token_ids) - room))
    places: list[list[tuple[int, int]]] = [[] for _ in starts]
    for word, place in sorted(asked.items()):
        # the first of the windows that hold it is the right one until it comes near to that one's end
        holding = [number for number, start in enumerate(starts) if start <= place < start + room]
        best = max(holding, key=lambda number: _context(place, starts[number], room, len(token_ids)))
        places[best].append((place - starts[best] + len(before), word))
    cut = [[*before, *token_ids[start : start + room], *behind] for start in starts]
    return [Window(ids, those) for ids, those in zip(cut, places, strict=True) if those]


def _context(place: int, start: int, room: int, length: int) -> int:
    """Return how far a token is from the nearer cut; the ends of the text are none."""
    left = place - start if start else length
    right = start + room - 1 - place if start + room < length else length
    return min(left, right)


def _tokens(words: Sequence[str], tokenizer: Any) -> tuple[list[int], list[int], list[int], list[int | None]]:
    """Return the special tokens before, the tokens of the words, those behind, and the number of each token's word."""
    if not tokenizer.is_fast:
        return _tokens_word_by_word(words, tokenizer)
    found = tokenizer(
        " ".join(words), return_offsets_mapping=True, return_special_tokens_mask=True, truncation=False, verbose=False
    )
    special = found["special_tokens_mask"]
    first = special.index(0) if 0 in special else len(special)
    last = len(special) - special[::-1].index(0) if 0 in special else len(special)
    spans = _spans_of(words)
    word_of: list[int | None] = []
    number = 0
    for start, end in found["offset_mapping"][first:last]:
        while number < len(spans) and spans[number][1] <= start:
            number += 1
        if number + 1 < len(spans) and spans[number + 1][0] < end:
            return _tokens_word_by_word(words, tokenizer)  # a token with letters of two words cannot answer for both
        word_of.append(number if number < len(spans) and start < end and spans[number][0] < end else None)
    ids = found["input_ids"]
    return ids[:first], ids[first:last], ids[last:], word_of


def _spans_of(words: Sequence[str]) -> list[tuple[int, int]]:
    """Return where words begin and end that are put together with spaces."""
    spans, start = [], 0
    for word in words:
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return spans


def _tokens_word_by_word(
    words: Sequence[str], tokenizer: Any
) -> tuple[list[int], list[int], list[int], list[int | None]]:
    """Return the same for a tokenizer that does not tell where a token stands."""
    token_ids: list[int] = []
    word_of: list[int | None] = []
    for number, word in enumerate(words):
        pieces = tokenizer(f" {word}" if number else word, add_special_tokens=False, verbose=False)["input_ids"]
        token_ids += pieces
        word_of += [number] * len(pieces)
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    first = next(place for place in range(len(whole)) if whole[place : place + len(plain)] == plain)
    return whole[:first], token_ids, whole[first + len(plain) :], word_of
