"""Bytes written as characters, and the rules by which a text is cut before its bytes are joined to tokens.

A byte-level tokenizer (Radford et al. 2019, section 2.2) writes every byte as one printable character: a space is "Ġ",
"é" is "Ã©". So each text has tokens, whatever its script, and joining what they spell gives it back byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lm_modules.data.tokenizers import SPECIAL, TokenizerTraining, sentinel

if TYPE_CHECKING:
    import tokenizers

PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
"""Bytes that are written as the character of their number; the others as those from 256 on."""
BYTE_OF = {chr(byte): byte for byte in PRINTABLE} | {
    chr(256 + place): byte for place, byte in enumerate(each for each in range(256) if each not in PRINTABLE)
}
"""The byte that each character stands for."""
Whitespace = Literal["with_words", "apart"]
PATTERNS: dict[tuple[bool, Whitespace], str] = {
    (True, "with_words"): r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+",
    (False, "with_words"): r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    (True, "apart"): r"'(?:[sdmt]|ll|ve|re)|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+|\s+",
    (False, "apart"): r"'(?:[sdmt]|ll|ve|re)|\p{L}+|\p{N}+|[^\s\p{L}\p{N}]+|\s+",
}
"""What `cut_by` does, by its arguments, as one regular expression."""


class ByteLevelTraining(TokenizerTraining):
    """What tokenizers that are learned over bytes have in common."""

    vocabulary_size: int = Field(default=8192, ge=320, multiple_of=64)
    """Number of tokens, special ones included; a multiple of 64 keeps the output layer fast."""
    sentinels: int = Field(default=0, ge=0)
    """Tokens that stand for spans taken out of a text; span denoising needs one for each span of a row."""
    split_digits: bool = True
    """Give every digit a token of its own."""
    whitespace: Whitespace = "with_words"
    """Where white space goes: `with_words` gives a word the space before it, as GPT-2 does; `apart` makes tokens of it,
    so that a word is spelled alike with and without a space."""

    @property
    def special(self) -> list[str]:
        """The first tokens of the vocabulary."""
        return [*SPECIAL, *(sentinel(number) for number in range(self.sentinels))]


def cut_by(split_digits: bool, whitespace: Whitespace) -> Any:
    """Return the pre-tokenizer that cuts at words, digits and white space, and writes bytes as characters."""
    from tokenizers import Regex, pre_tokenizers

    digits = [pre_tokenizers.Digits(individual_digits=True)] if split_digits else []
    blanks = [pre_tokenizers.Split(Regex(r"\s+"), "isolated")] if whitespace == "apart" else []
    return pre_tokenizers.Sequence([*blanks, *digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])


def alphabet() -> list[str]:
    """Return the characters of all bytes, sorted, which every vocabulary needs to hold."""
    return sorted(BYTE_OF)


def filled_up(tokenizer: tokenizers.Tokenizer, size: int, first: int = 0) -> tokenizers.Tokenizer:
    """Return the tokenizer with reserved tokens, from number `first` on, up to a vocabulary of this size."""
    from tokenizers import AddedToken

    missing = size - tokenizer.get_vocab_size()
    names = [f"<|reserved_{first + index}|>" for index in range(missing)]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return tokenizer
