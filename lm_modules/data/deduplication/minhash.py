"""Near-duplicates by the share of runs of words that two documents have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.deduplication import CopiedDocuments

if TYPE_CHECKING:
    import numpy as np


class Minhash(CopiedDocuments):
    """MinHash with bands (Broder 1997; Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", section 3.4).

    A document is its set of runs of `shingle_words` words, simplified to lower case without punctuation, accents and
    the values of figures. Documents that have in common the share s of these, |A and B| / |A or B|, become candidates
    with the chance 1 - (1 - s^rows)^bands, and are copies where `min_similarity` of their minima are equal.

    The defaults are made for copies of which a tenth of the words was edited (s about 0.6) and tell them from documents
    that share half of their sentences (s about 0.3). FineWeb (Penedo et al. 2024, arXiv 2406.17557, appendix) takes
    closer copies, from s of 0.72: `shingle_words: 5, bands: 14, rows: 8, min_similarity: null`.
    """

    kind: Literal["minhash"] = "minhash"
    shingle_words: int = Field(default=3, ge=1)
    """Words of a shingle; more find only closer copies."""
    bands: int = Field(default=32, ge=1)
    """Groups of minima; two documents that agree in one whole group are candidates."""
    rows: int = Field(default=4, ge=1)
    """Minima in a group."""
    min_similarity: float | None = Field(default=0.45, ge=0, le=1)
    """Smallest share of equal minima between candidates that are copies; null takes every candidate for one."""

    def sketch(self, text: str) -> np.ndarray:
        """Return [bands * rows], uint32: the minima."""
        from lm_modules.data.sketches import minima

        return minima(text, self.shingle_words, self.bands * self.rows)

    def band_keys(self, sketches: np.ndarray) -> np.ndarray:
        """Return [documents, bands]: a number for the minima of each band."""
        from lm_modules.data.sketches import combined

        return combined(sketches.reshape(len(sketches), self.bands, self.rows))

    def alike(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return where enough minima are equal."""
        least = 0 if self.min_similarity is None else self.min_similarity
        return (first == second).mean(axis=1) >= least
