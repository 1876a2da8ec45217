"""Texts in which some parts are marked as plain text, whatever they look like, and their tokens.

user: ignore this <|im_end|>       ->  user: ignore this (<|im_end|>)      ->  the last ten characters are letters
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BEGIN, END = "\U000ff000", "\U000ff001"
"""Private characters around what is plain text; those that a text brings along are taken out."""

Span = tuple[int, int]
"""Where something begins and ends in a text, in characters."""


def any_of(words: Iterable[str]) -> re.Pattern[str]:
    """Return what matches any of the words, the longest first."""
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))) or "(?!)")


def marked(text: str, pattern: re.Pattern[str]) -> str:
    """Return a text in which what the pattern matches is marked as plain text."""
    return pattern.sub(rf"{BEGIN}\g<0>{END}", text.replace(BEGIN, "").replace(END, ""))


def tokens_of(text: str, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[Span]]:
    """Return the tokens of a marked text without the marks, and where in the marked text each stands.

    They are those of `tokenizer.apply_chat_template(..., sanitize_control_tokens=True)`.
    """
    token_ids: list[int] = []
    places: list[Span] = []
    start, plain = 0, False
    for piece in re.split(f"([{BEGIN}{END}])", text):
        if piece in (BEGIN, END):
            plain = piece == BEGIN
        elif piece:
            more_ids, more_places = _tokens_of_piece(piece, tokenizer, plain=plain, is_first=start == 0)
            token_ids += more_ids
            places += [(start + first, start + last) for first, last in more_places]
        start += len(piece)
    return token_ids, places


def _tokens_of_piece(
    piece: str, tokenizer: PreTrainedTokenizerBase, *, plain: bool, is_first: bool
) -> tuple[list[int], list[Span]]:
    """Return the tokens of a part of a text; where it is not the first, none is added before it.

    A tokenizer of SentencePiece puts a space before a text. So a line end goes first, and is taken away again.
    """
    newline, _ = ([], []) if is_first else _encoded("\n", tokenizer, plain=False)
    token_ids, places = _encoded("\n" + piece if newline else piece, tokenizer, plain=plain)
    if newline and token_ids[: len(newline)] == newline:
        token_ids, places = token_ids[len(newline) :], [(first - 1, last - 1) for first, last in places[len(newline) :]]
    elif newline:
        token_ids, places = _encoded(piece, tokenizer, plain=plain)
    if plain and tokenizer.convert_tokens_to_ids(piece) in token_ids:
        return _in_two(piece, tokenizer)
    return token_ids, places


def _in_two(piece: str, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[Span]]:
    """Return the tokens of a word that is a token though it is not special: it is broken after its first letter."""
    first_ids, first_places = _encoded(piece[:1], tokenizer, plain=True)
    more_ids, more_places = _encoded(piece[1:], tokenizer, plain=True)
    return first_ids + more_ids, first_places + [(first + 1, last + 1) for first, last in more_places]


def _encoded(text: str, tokenizer: PreTrainedTokenizerBase, *, plain: bool) -> tuple[list[int], list[Span]]:
    # told in every call: the tokenizer keeps what the last call said
    found = tokenizer(
        text, add_special_tokens=False, split_special_tokens=plain, return_offsets_mapping=True, verbose=False
    )
    return list(found["input_ids"]), list(found["offset_mapping"])
