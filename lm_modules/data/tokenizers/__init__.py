"""How text is cut into tokens: one algorithm a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

from configs.component import Component

if TYPE_CHECKING:
    import tokenizers

END_OF_TEXT = "<|endoftext|>"
PAD = "<|pad|>"
MASK = "<|mask|>"
SEPARATOR = "<|separator|>"
FILL_PREFIX, FILL_SUFFIX, FILL_MIDDLE = "<|fill_prefix|>", "<|fill_suffix|>", "<|fill_middle|>"
SPECIAL = (END_OF_TEXT, PAD, MASK, SEPARATOR, FILL_PREFIX, FILL_SUFFIX, FILL_MIDDLE)
"""Special tokens that every tokenizer has, with these ids."""


def sentinel(number: int) -> str:
    """Return the token that stands for the span of this number that was taken out of a text."""
    return f"<|sentinel_{number}|>"


class TokenizerTraining(Component):
    """Trains a tokenizer, whose first tokens are those of SPECIAL, or takes one over."""

    @abstractmethod
    def train(self, texts: Iterator[str]) -> tokenizers.Tokenizer:
        """Return the trained tokenizer; `decode(encode(text)) == text` for every text."""
