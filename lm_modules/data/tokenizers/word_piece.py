"""WordPiece over bytes: words are cut by the longest piece that fits, from the left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.byte_level import ByteLevelTraining, alphabet, cut_by, filled_up

if TYPE_CHECKING:
    import tokenizers

LONGEST_WORD = 64
"""Bytes of a word that are cut at once; the search for the longest piece costs the square of them."""


class WordPiece(ByteLevelTraining):
    """The greedy longest match of BERT (Devlin et al. 2018, arXiv 1810.04805; Song et al. 2021, arXiv 2012.15524).

    BERT's own loses text: it lowers the case, drops white space and calls what it cannot spell [UNK]. Here the pieces
    are of bytes, and a space belongs to a word, so that nothing is lost; what continues a word needs no mark. The
    pieces are found by merging pairs, as the library does it.

    Training is not reproducible: a second one gives other ids to the same pieces, and some other pieces. So keep what
    was trained, which has a fingerprint, and do not expect to train it again.
    """

    kind: Literal["word_piece"] = "word_piece"
    min_frequency: int = Field(default=2, ge=1)
    """Pairs that occur less often are not merged."""

    def train(self, texts: Iterator[str]) -> tokenizers.Tokenizer:
        """Return the trained tokenizer; too small a text leaves reserved tokens in place of the missing pieces."""
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

        model = models.WordPiece(
            {}, unk_token=self.special[1], continuing_subword_prefix="", max_input_chars_per_word=LONGEST_WORD
        )
        tokenizer = Tokenizer(model)
        short = pre_tokenizers.Split(Regex(f".{{1,{LONGEST_WORD}}}"), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut_by(self.split_digits, self.whitespace), short])
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.WordPieceTrainer(
            vocab_size=self.vocabulary_size,
            min_frequency=self.min_frequency,
            special_tokens=self.special,
            initial_alphabet=alphabet(),
            continuing_subword_prefix="",
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return filled_up(tokenizer, self.vocabulary_size)
