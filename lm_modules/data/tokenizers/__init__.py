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


class TokenizerTraining(Component):
    """Trains a tokenizer. Its special tokens begin with END_OF_TEXT (id 0) and PAD (id 1)."""

    @abstractmethod
    def train(self, texts: Iterator[str]) -> tokenizers.Tokenizer:
        """Return the trained tokenizer; `decode(encode(text)) == text` for every text."""
