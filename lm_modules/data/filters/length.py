"""Drops what is too short to teach anything and too long to be one document."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lm_modules.data.documents import Document
from lm_modules.data.filters import Filter


class Length(Filter):
    """Bounds on words and characters (ROOTS: at least 15 words, Laurençon et al. 2022, arXiv 2303.03915, section 3)."""

    kind: Literal["length"] = "length"
    min_words: int = Field(default=5, ge=0)
    """Fewest words."""
    max_words: int | None = Field(default=None, ge=1)
    """Most words; null sets no limit."""
    min_characters: int = Field(default=0, ge=0)
    """Fewest characters."""
    max_characters: int | None = Field(default=None, ge=1)
    """Most characters; null sets no limit."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for unit, low, high in (
            ("words", self.min_words, self.max_words),
            ("characters", self.min_characters, self.max_characters),
        ):
            if high is not None and low > high:
                raise ValueError(f"min_{unit} {low} is above max_{unit} {high}; nothing would be kept")
        return self

    def reason_to_drop(self, document: Document) -> str | None:
        """Return which bound the document breaks."""
        from lm_modules.data.text_words import words_of

        num_characters, num_words = len(document.text), len(words_of(document.text))
        if num_characters < self.min_characters:
            return f"fewer than {self.min_characters} characters"
        if self.max_characters is not None and num_characters > self.max_characters:
            return f"more than {self.max_characters} characters"
        if num_words < self.min_words:
            return f"fewer than {self.min_words} words"
        if self.max_words is not None and num_words > self.max_words:
            return f"more than {self.max_words} words"
        return None
