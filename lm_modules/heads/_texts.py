"""What heads have in common in reading one text, or two."""

from __future__ import annotations

from typing import Any


def tokens_of(tokenizer: Any, text: str, text_pair: str | None = None) -> Any:
    """Return what the tokenizer makes of a text or of two, cut at its limit.

    Two are put together as the model was trained; where the tokenizer knows no separator, a line end stands between.
    """
    if text_pair is None:
        return tokenizer(text, truncation=True)
    between = "" if tokenizer.sep_token_id is not None else "\n"
    return tokenizer(text + between, text_pair, truncation=True)


def is_cut(found: Any) -> bool:
    """Return whether `tokens_of` left something out; a tokenizer in Python alone does not say."""
    return any(each.overflowing for each in found.encodings or ())
