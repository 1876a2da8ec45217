"""What heads have in common in reading one text, or two."""

from __future__ import annotations

from typing import Any


def tokens_of(tokenizer: Any, text: str, text_pair: str | None = None) -> Any:
    """Return what the tokenizer makes of a text or of two, cut at its limit.

    Two are put together as the model was trained; where the tokenizer knows no separator, a line end stands between.
    """
    if text_pair is None:
        return tokenizer(text, truncation=True)
    return tokenizer(text + between(tokenizer), text_pair, truncation=True)


def between(tokenizer: Any) -> str:
    """Return what stands between two texts besides what the tokenizer puts there."""
    return "" if tokenizer.sep_token_id is not None else "\n"


def is_cut(found: Any) -> bool:
    """Return whether `tokens_of` left something out; a tokenizer in Python alone does not say."""
    return any(each.overflowing for each in found.encodings or ())
