"""How a corpus becomes tokens: the tokenizer that is trained on it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from configs.base import Config
from configs.component import OneOf


class TokenizationConfig(Config):
    """The tokenizer, and the text that it is trained on."""

    model_config = ConfigDict(title="Tokenization")

    tokenizer: Annotated[Any, OneOf("lm_modules.data.tokenizers")] = "byte_bpe"
    """How text is cut into tokens; trained on the train split alone."""
    training_characters: int = Field(default=50_000_000, ge=1)
    """Most characters that the tokenizer is trained on; beyond it, documents spread over the corpus are taken."""
