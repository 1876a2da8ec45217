"""What an objective needs to know of the tokenizer."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from lm_modules.data.special_tokens import special_tokens
from lm_modules.data.tokenizers import FILL_MIDDLE, FILL_PREFIX, FILL_SUFFIX, MASK, PAD, SEPARATOR, sentinel
from lm_modules.data.words import word_parts


@dataclass(frozen=True)
class Vocabulary:
    """The number of tokens and the ids of the special ones; asking for one that the tokenizer lacks is a ValueError."""

    size: int
    end_of_text_id: int
    special: tuple[tuple[str, int], ...] = ()
    """Name and id of every special token; one that has a role is also listed under our name for it."""
    word_parts: str = ""
    """How every token takes part in words, a digit each (see `words`); empty where it is not known."""

    @classmethod
    def of(cls, tokenizer: Path, size: int, end_of_text_id: int) -> Vocabulary:
        """Return the vocabulary of a tokenizer directory."""
        content = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
        return cls(size, end_of_text_id, special_tokens(tokenizer), word_parts(content, size))

    @classmethod
    def restored(cls, size: int, end_of_text_id: int, special: list[list], word_parts: str = "") -> Vocabulary:
        """Return the vocabulary that was filed as JSON."""
        return cls(size, end_of_text_id, tuple((name, number) for name, number in special), word_parts)

    def widened(self, size: int) -> Vocabulary:
        """Return the vocabulary of a model with rows for `size` tokens; those that are no token are special.

        Models are often given more rows than their tokenizer has tokens, to a round number.
        """
        if size < self.size:
            raise ValueError(
                f"the model knows {size} tokens and its tokenizer {self.size}; use the tokenizer that the model was "
                "trained with"
            )
        unused = tuple((f"unused row {number}", number) for number in range(self.size, size))
        parts = self.word_parts and self.word_parts.ljust(size, "0")
        return replace(self, size=size, special=self.special + unused, word_parts=parts)

    @property
    def special_ids(self) -> list[int]:
        """The ids of all special tokens, the end of text among them."""
        return sorted({self.end_of_text_id, *(number for _, number in self.special)})

    @property
    def pad_id(self) -> int:
        """Fills a row."""
        return self._id_of(PAD)

    @property
    def mask_id(self) -> int:
        """Stands for a token that is to be found."""
        return self._id_of(MASK)

    @property
    def separator_id(self) -> int:
        """Stands between two segments."""
        return self._id_of(SEPARATOR)

    @property
    def fill_ids(self) -> tuple[int, int, int]:
        """Stand before the prefix, the suffix and the middle of a text to be filled in."""
        return self._id_of(FILL_PREFIX), self._id_of(FILL_SUFFIX), self._id_of(FILL_MIDDLE)

    def sentinel_ids(self, count: int, *, or_mask: bool = False) -> list[int]:
        """Return the ids of so many tokens that stand for spans taken out.

        A tokenizer without any gives its mask token for every span with `or_mask`, as BART has it.
        """
        known = dict(self.special)
        if or_mask and sentinel(0) not in known and MASK in known:
            return [known[MASK]] * count
        if sentinel(count - 1) not in known:
            raise ValueError(
                f"span denoising of rows of this length needs {count} sentinels; set "
                f"tokenization.tokenizer.sentinels to at least {count}"
            )
        return [known[sentinel(number)] for number in range(count)]

    def _id_of(self, name: str) -> int:
        for known, number in self.special:
            if known == name:
                return number
        raise ValueError(f"the tokenizer has no special token {name}; train one with this project, or add it")
