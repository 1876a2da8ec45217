"""Long runs of words that stand in several places, wherever they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.deduplication import CopiedPassages

if TYPE_CHECKING:
    import numpy as np


class Substrings(CopiedPassages):
    """Cuts repeated runs of words, close to what the suffix array of Lee et al. 2021 (arXiv 2107.06499) finds.

    The suffix array finds every repeated run of 50 tokens to its last byte, and needs memory of many times the text.
    Here every run of `words` words has a number, and of each `sampled_words` runs that follow one another the one with
    the smallest number is kept (winnowing: Schleimer, Wilkerson & Aiken 2003). Equal text keeps equal runs, so every
    repeat of at least `words + sampled_words - 1` words is found, none shorter than `words` is touched, and up to
    `sampled_words - 1` words remain at each end. White space does not count; all else does.
    """

    kind: Literal["substrings"] = "substrings"
    words: int = Field(default=50, ge=1)
    """Words of the shortest run that may be cut."""
    sampled_words: int = Field(default=16, ge=1)
    """Runs of which one is looked at: more take less room on disk and leave longer ends."""
    min_occurrences: int = Field(default=2, ge=2)
    """Runs that occur less often stay."""
    keep_first: bool = True
    """Keep the first of them; false cuts them all."""

    def passages(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the sampled runs, with the white space that follows."""
        from lm_modules.data.passages import sampled_runs

        return sampled_runs(text, self.words, self.sampled_words)
