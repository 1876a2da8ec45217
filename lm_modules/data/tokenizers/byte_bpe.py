"""Byte-level byte-pair encoding: every text has tokens, and decoding them gives it back byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.byte_level import ByteLevelTraining, alphabet, cut_by, filled_up
from lm_modules.data.tokenizers import SPECIAL, sentinel

if TYPE_CHECKING:
    import tokenizers

NUM_RESERVED = 1


class ByteBpe(ByteLevelTraining):
    """Sennrich et al. 2016 (arXiv 1508.07909) over bytes, as in GPT-2 (Radford et al. 2019, section 2.2).

    Digits are split, as in Llama (Touvron et al. 2023, arXiv 2302.13971, section 2.1). Training is deterministic: the
    same texts give the same file, on any number of threads (WordPiece and Unigram of the same library do not).
    """

    kind: Literal["byte_bpe"] = "byte_bpe"
    min_frequency: int = Field(default=2, ge=1)
    """Pairs that occur less often are not merged."""

    def train(self, texts: Iterator[str]) -> tokenizers.Tokenizer:
        """Return the trained tokenizer; too small a text leaves reserved tokens in place of the missing merges."""
        from tokenizers import Tokenizer, decoders, models, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = cut_by(self.split_digits, self.whitespace)
        tokenizer.decoder = decoders.ByteLevel()
        sentinels = [sentinel(number) for number in range(self.sentinels)]
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary_size,
            min_frequency=self.min_frequency,
            special_tokens=[*SPECIAL, *(f"<|reserved_{index}|>" for index in range(NUM_RESERVED)), *sentinels],
            initial_alphabet=alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return filled_up(tokenizer, self.vocabulary_size, NUM_RESERVED)
