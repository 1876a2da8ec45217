"""chrF: how many runs of up to six characters are those of the reference (Popović 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sacrebleu.metrics import CHRF

BETA = 2
"""How many times as much recall counts as precision."""


class Chrf(Metric):
    """Corpus chrF from 0 to 100, as `sacrebleu.corpus_chrf` with one reference.

    Precision and recall are means over the lengths of run that both texts have. It asks for no words, so that languages
    with many endings, code and scripts without spaces are scored as well.
    """

    scores: ClassVar[tuple[str, ...]] = ("texts",)
    best: ClassVar[float] = 100.0

    kind: Literal["chrf"] = "chrf"
    word_order: int = Field(default=0, ge=0, le=2)
    """Longest run of words that counts beside those of characters; 2 is chrF++ (Popović 2017)."""
    lowercase: bool = False
    """Take capitals for small letters."""

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return runs of the prediction, of the reference, and of both, for each length in turn."""
        # sacrebleu shows these figures to its own classes only; its version is bounded in pyproject.toml
        (found,) = _counter(self.word_order, self.lowercase)._extract_corpus_statistics([prediction], [[reference]])
        return tuple(map(float, found))

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return chrF."""
        import numpy as np

        written, asked, both = (sums[..., place::3] for place in range(3))
        counts = (written > 0) & (asked > 0)
        num_lengths = np.maximum(counts.sum(axis=-1), 1)
        precision = (counts * both / np.maximum(written, 1.0)).sum(axis=-1) / num_lengths
        recall = (counts * both / np.maximum(asked, 1.0)).sum(axis=-1) / num_lengths
        weighted = BETA**2 * precision + recall
        return 100 * (1 + BETA**2) * precision * recall / np.where(weighted > 0, weighted, 1.0)


@cache
def _counter(word_order: int, lowercase: bool) -> CHRF:
    from sacrebleu.metrics import CHRF

    return CHRF(word_order=word_order, beta=BETA, lowercase=lowercase)
