"""Every byte is a token; of a text in ASCII, every character."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.tokenizers import SPECIAL, TokenizerTraining, sentinel

if TYPE_CHECKING:
    import tokenizers


class Bytes(TokenizerTraining):
    """Bytes of UTF-8 and the special tokens (ByT5, Xue et al. 2021, arXiv 2105.13626); nothing is learned."""

    kind: Literal["bytes"] = "bytes"
    sentinels: int = Field(default=0, ge=0)
    """Tokens that stand for spans taken out of a text; span denoising needs one for each span of a row."""

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, special ones included; a multiple of 64 keeps the output layer fast."""
        return -(-(len(SPECIAL) + self.sentinels + 256) // 64) * 64

    def train(self, texts: Iterator[str]) -> tokenizers.Tokenizer:
        """Return the tokenizer; reserved tokens fill the vocabulary up to a multiple of 64."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        special = [*SPECIAL, *(sentinel(number) for number in range(self.sentinels))]
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        missing = self.vocabulary_size - len(special) - len(letters)
        special += [f"<|reserved_{number}|>" for number in range(missing)]
        vocabulary = {each: number for number, each in enumerate([*special, *letters])}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
        return tokenizer
