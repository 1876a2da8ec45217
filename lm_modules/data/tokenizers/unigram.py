"""Unigram over bytes: of all ways to cut a word into pieces, the likeliest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.byte_level import ByteLevelTraining, alphabet, cut_by, filled_up

if TYPE_CHECKING:
    import tokenizers


class Unigram(ByteLevelTraining):
    """The unigram language model of Kudo 2018 (arXiv 1804.10959), as in T5, over the bytes of words.

    Words are cut before (as for byte_bpe), so that training counts each word once: over whole lines it takes minutes
    for 10 MB.

    Training is not reproducible: a second one gives other ids and some other pieces. So keep what was trained, which
    has a fingerprint, and do not expect to train it again.
    """

    kind: Literal["unigram"] = "unigram"
    longest_piece: int = Field(default=16, ge=2)
    """Most bytes of a piece."""

    def train(self, texts: Iterator[str]) -> tokenizers.Tokenizer:
        """Return the trained tokenizer; too small a text leaves reserved tokens in place of the missing pieces."""
        from tokenizers import Tokenizer, decoders, models, trainers

        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = cut_by(self.split_digits, self.whitespace)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.UnigramTrainer(
            vocab_size=self.vocabulary_size,
            special_tokens=self.special,
            initial_alphabet=alphabet(),
            max_piece_length=self.longest_piece,
            unk_token=None,
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return filled_up(tokenizer, self.vocabulary_size)
