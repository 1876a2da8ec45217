"""How a corpus becomes tokens: the tokenizer that is trained on it, and how its tokens are laid in rows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from configs.base import Config
from configs.component import OneOf


class TokenizationConfig(Config):
    """The tokenizer and the packing."""

    model_config = ConfigDict(title="Tokenization")

    tokenizer: Annotated[Any, OneOf("lm_modules.data.tokenizers")] = "byte_bpe"
    """How text is cut into tokens; trained on the train split alone."""
    packing: Annotated[Any, OneOf("lm_modules.data.packing")] = "concatenate"
    """How the documents are laid in rows of the context length."""
    training_characters: int = Field(default=50_000_000, ge=1)
    """Most characters that the tokenizer is trained on; beyond it, documents spread over the corpus are taken."""
