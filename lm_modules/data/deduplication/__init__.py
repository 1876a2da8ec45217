"""How copies are found: one way a file.

Copies of whole documents are found in three steps, so that no step needs all texts at once: every document alone
gives a sketch of a few numbers; documents whose sketches share a key are compared, by their sketches; those that are
alike, and those alike to these, are a cluster, of which the first document is kept (`lm_modules.data.clusters`).

Copies within documents are passages: every document alone gives the keys of its own; keys are counted over all
documents, and the passages that occur too often are cut out (`lm_modules.data.passages`).

Importing a member must be quick: numpy is imported where it is used.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from configs.component import Component

if TYPE_CHECKING:
    import numpy as np


class CopiedDocuments(Component):
    """Finds documents that are copies of an earlier one; they are dropped."""

    copies: ClassVar[str] = "documents"

    @abstractmethod
    def sketch(self, text: str) -> np.ndarray:
        """Return [numbers], unsigned integers, as many for every text."""

    @abstractmethod
    def band_keys(self, sketches: np.ndarray) -> np.ndarray:
        """Return [documents, keys], uint64, from sketches [documents, numbers].

        Documents that share a key in the same column are candidates. Keys spread evenly over the 64 bits.
        """

    @abstractmethod
    def alike(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return [pairs], booleans: which candidates are copies, from their sketches, each [pairs, numbers]."""


class CopiedPassages(Component):
    """Finds passages that occur in many places; they are cut out of their documents."""

    copies: ClassVar[str] = "passages"
    min_occurrences: int
    keep_first: bool

    @abstractmethod
    def passages(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return starts and ends, [passages], int64, in characters, and keys, [passages], uint64.

        Equal passages have equal keys. A passage ends where the next may begin, so that a cut leaves no gap.
        """

    def without(self, text: str, goes: np.ndarray) -> str:
        """Return the text without the passages that `goes`, [passages], booleans, names; they may overlap."""
        starts, ends, _ = self.passages(text)
        kept, at = [], 0
        for start, end in sorted(zip(starts[goes].tolist(), ends[goes].tolist(), strict=True)):
            kept.append(text[at : max(at, start)])
            at = max(at, end)
        return "".join([*kept, text[at:]])
