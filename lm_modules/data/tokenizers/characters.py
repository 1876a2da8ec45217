"""Every character is a token; a rare one, of which the vocabulary has none, is its bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.byte_level import BYTE_OF, alphabet, filled_up
from lm_modules.data.tokenizers import SPECIAL, TokenizerTraining, sentinel

if TYPE_CHECKING:
    import tokenizers


class Characters(TokenizerTraining):
    """The most frequent characters of the text, as CANINE reads them (Clark et al. 2021, arXiv 2103.06874), not hashed.

    In ASCII this is the tokenizer `bytes`; in other scripts rows hold two or three times as much text. Training counts,
    and equal texts give equal files.
    """

    kind: Literal["characters"] = "characters"
    vocabulary_size: int = Field(default=1024, ge=320, multiple_of=64)
    """Number of tokens: special ones, bytes, and characters of more than one byte. Chinese needs some thousands."""
    min_frequency: int = Field(default=2, ge=1)
    """Characters that occur less often are written as bytes."""
    sentinels: int = Field(default=0, ge=0)
    """Tokens that stand for spans taken out of a text; span denoising needs one for each span of a row."""

    def train(self, texts: Iterator[str]) -> tokenizers.Tokenizer:
        """Return the tokenizer; a text of few characters leaves reserved tokens."""
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

        special = [*SPECIAL, *(sentinel(number) for number in range(self.sentinels))]
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        wide = [(-count, each) for each, count in counts.items() if ord(each) > 127 and count >= self.min_frequency]
        room = max(self.vocabulary_size - len(special) - len(BYTE_OF), 0)
        written = {byte: each for each, byte in BYTE_OF.items()}
        spelled = ["".join(written[byte] for byte in each.encode()) for _, each in sorted(wide)[:room]]
        vocabulary = {each: number for number, each in enumerate([*special, *alphabet(), *spelled])}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
        one_by_one = pre_tokenizers.Split(Regex(r"(?m:.)|\n"), "isolated")
        letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([one_by_one, letters])
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in special])
        return filled_up(tokenizer, self.vocabulary_size)
