"""Byte-level byte-pair encoding: every text has tokens, and decoding them gives it back byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.tokenizers import SPECIAL, TokenizerTraining, sentinel

if TYPE_CHECKING:
    import tokenizers

NUM_RESERVED = 1


class ByteBpe(TokenizerTraining):
    """Sennrich et al. 2016 (arXiv 1508.07909) over bytes, as in GPT-2 (Radford et al. 2019, section 2.2).

    Digits are split, as in Llama (Touvron et al. 2023, arXiv 2302.13971, section 2.1). Training is deterministic: the
    same texts give the same file, on any number of threads (WordPiece and Unigram of the same library do not).
    """

    kind: Literal["byte_bpe"] = "byte_bpe"
    vocabulary_size: int = Field(default=8192, ge=320, multiple_of=64)
    """Number of tokens, special ones included; a multiple of 64 keeps the output layer fast."""
    min_frequency: int = Field(default=2, ge=1)
    """Pairs that occur less often are not merged."""
    sentinels: int = Field(default=0, ge=0)
    """Tokens that stand for spans taken out of a text; span denoising needs one for each span of a row."""
    split_digits: bool = True
    """Give every digit a token of its own."""

    def train(self, texts: Iterator[str]) -> tokenizers.Tokenizer:
        """Return the trained tokenizer; too small a text leaves reserved tokens in place of the missing merges."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
        digits = [pre_tokenizers.Digits(individual_digits=True)] if self.split_digits else []
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*digits, byte_level])
        tokenizer.decoder = decoders.ByteLevel()
        sentinels = [sentinel(number) for number in range(self.sentinels)]
        special = [*SPECIAL, *(f"<|reserved_{index}|>" for index in range(NUM_RESERVED)), *sentinels]
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary_size,
            min_frequency=self.min_frequency,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        missing = self.vocabulary_size - tokenizer.get_vocab_size()
        names = [f"<|reserved_{NUM_RESERVED + index}|>" for index in range(missing)]
        tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
        return tokenizer
