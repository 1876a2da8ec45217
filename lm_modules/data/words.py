"""Which tokens make a word, told from how the tokenizer spells them.

    text      Reading the tokenizer's file42
    tokens    Read|ing| the| token|izer|'s| file|4|2        byte-level ("Ġthe" for " the"), or Metaspace ("▁the")
              Read|##ing|the|token|##izer|'|s|file|##42     WordPiece
    words     Reading   the  tokenizer  's  file42

A word is a run of letters and digits; a byte outside ASCII counts as a letter, so that in a script without spaces a
whole clause is one. In BERT's WordPiece what continues a word says so itself.
"""

# B batch, L length, V vocabulary

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_modules.data.byte_level import BYTE_OF

if TYPE_CHECKING:
    from torch import Tensor

GOES_ON, MAY_GO_ON = 1, 2
"""Bits of a token: it continues a word that the token before left open; it leaves a word open."""


def word_parts(tokenizer: dict[str, Any], size: int) -> str:
    """Return a digit for every token, the sum of its bits, for the content of a `tokenizer.json`."""
    model = tokenizer["model"]
    vocabulary = model["vocab"]
    if not isinstance(vocabulary, dict):
        vocabulary = {text: number for number, (text, _) in enumerate(vocabulary)}
    prefix = model.get("continuing_subword_prefix")
    if model["type"] == "WordPiece" and prefix:
        bits = {number: MAY_GO_ON + GOES_ON * text.startswith(prefix) for text, number in vocabulary.items()}
    else:
        byte_level = (tokenizer.get("decoder") or {}).get("type") == "ByteLevel"
        is_letter = _is_letter_byte if byte_level else str.isalnum
        bits = {
            number: GOES_ON * is_letter(text[0]) + MAY_GO_ON * is_letter(text[-1])
            for text, number in vocabulary.items()
            if text
        }
    special = {each["id"] for each in tokenizer["added_tokens"]}
    return "".join(str(0 if number in special else bits.get(number, 0)) for number in range(size))


def first_of_word(tokens_BL: Tensor, parts: str) -> Tensor:
    """Return [batch, length]: at which position of its row each token's word begins."""
    import torch

    bits_V = torch.tensor(list(parts.encode())) - ord("0")
    bits_BL = bits_V[tokens_BL]
    begins_BL = torch.ones_like(tokens_BL, dtype=torch.bool)
    begins_BL[:, 1:] = (bits_BL[:, 1:] & GOES_ON == 0) | (bits_BL[:, :-1] & MAY_GO_ON == 0)
    position_L = torch.arange(tokens_BL.shape[1])
    return (position_L * begins_BL).cummax(dim=1).values


def _is_letter_byte(character: str) -> bool:
    byte = BYTE_OF.get(character)
    if byte is None:  # no byte: part of a special token
        return character.isalnum()
    return byte >= 128 or chr(byte).isalnum()
