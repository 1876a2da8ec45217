"""How texts of evaluation sets are found in training text, and what becomes of the documents that hold them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from configs.base import Config
from configs.component import OneOf


class DecontaminationConfig(Config):
    """What counts as a hit, and what becomes of a document with one.

    Looked for are the held-out examples that the pipeline itself evaluates on, and those of `sets`.
    """

    model_config = ConfigDict(title="Decontamination")

    mode: Literal["report", "drop"] = "report"
    """Count the documents that hold texts of evaluation sets, or drop them as well."""
    sets: tuple[Annotated[Any, OneOf("lm_modules.data.labelled")], ...] = ()
    """Labelled data beside that of `finetuning.data`, all of whose texts are looked for."""
    run_words: int = Field(default=13, ge=5, le=100)
    """So many equal words in a row make a hit."""
    min_words: int = Field(default=4, ge=1)
    """An evaluation text of fewer words is not looked for; the report says how many those are."""
    min_bytes: int = Field(default=15, ge=1)
    """Nor is one of fewer letters and digits."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_words > self.run_words:
            raise ValueError(
                f"min_words {self.min_words} is above run_words {self.run_words}; no short text would be looked for"
            )
        return self
