"""Paragraphs that stand word for word in many documents."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.deduplication import CopiedPassages

if TYPE_CHECKING:
    import numpy as np

BLANK_LINES = re.compile(r"\n[^\S\n]*\n(?:[^\S\n]*\n)*")


class Paragraphs(CopiedPassages):
    """Keeps the first of equal paragraphs (CCNet: Wenzek et al. 2020, arXiv 1911.00359, section 3.2).

    A paragraph ends at a blank line. CCNet compares lower-case text without accents and punctuation, and every line;
    here only white space may differ, and short paragraphs, which are headings and the like, stay.
    """

    kind: Literal["paragraphs"] = "paragraphs"
    min_characters: int = Field(default=80, ge=1)
    """Shorter paragraphs stay."""
    min_occurrences: int = Field(default=2, ge=2)
    """Paragraphs that occur less often stay."""
    keep_first: bool = True
    """Keep the first of them; false cuts them all."""

    def passages(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the paragraphs, with the blank lines that follow."""
        from lm_modules.data.passages import keyed_spans

        bounds = [0, *(match.end() for match in BLANK_LINES.finditer(text)), len(text)]
        return keyed_spans(text, pairwise(bounds), self.min_characters)
