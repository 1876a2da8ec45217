"""How a corpus becomes tokens: the tokenizer that is trained on it, how often it is read, how rows are filled."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from configs.base import Config
from configs.component import OneOf

AFTERWARDS = frozenset({"packing", "mixing"})
"""Settings of tokenization that say what is done with the tokenizer, and leave it as it is."""


class MixingConfig(Config):
    """How often the documents of each source and language are read; epochs are a setting of the sources themselves."""

    model_config = ConfigDict(title="Mixing")

    source_weights: dict[str, float] | None = None
    """Proportions in which tokens of the sources stand, by name; null leaves them as they are."""
    language_exponent: float = Field(default=1.0, ge=0, le=1)
    """Tokens of a language stand in proportion to their number to this power: 1 leaves them as they are, 0 makes all
    languages equal; 0.3 in mT5."""
    most_epochs: float = Field(default=4.0, ge=1)
    """How often a document is read at most for the sake of weights and languages."""

    @model_validator(mode="after")
    def _weights_are_positive(self) -> Self:
        for name, weight in (self.source_weights or {}).items():
            if weight <= 0:
                raise ValueError(f"source_weights.{name} is {weight:g}; give a number above 0, or leave the source out")
        return self


class TokenizationConfig(Config):
    """The tokenizer, the text that it is trained on, and how its tokens fill rows."""

    model_config = ConfigDict(title="Tokenization")

    tokenizer: Annotated[Any, OneOf("lm_modules.data.tokenizers")] = "byte_bpe"
    """How text is cut into tokens; trained on the train split alone."""
    training_characters: int = Field(default=50_000_000, ge=1, le=500_000_000)
    """Most characters that the tokenizer is trained on; beyond it, documents spread over the corpus are taken. Its
    trainers count in 32 bits, which more than 500 million characters of four bytes could exceed."""
    reference: str | None = None
    """A tokenizer to compare with: a directory or a Hugging Face name. Null compares with bytes, one token each."""
    packing: Annotated[Any, OneOf("lm_modules.data.packing")] = "concatenate"
    """How documents fill the rows that training reads."""
    mixing: MixingConfig = MixingConfig()
    """How often documents are read."""
