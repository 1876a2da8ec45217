"""Exact match: the part of the answers that have the words of a right one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric
from lm_modules.evaluation.metrics._answers import references_of, words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ExactMatch(Metric):
    """Part of the answers equal to one of the right ones, without case, punctuation and articles; as SQuAD counts it.

    A question without an answer is right if nothing is answered (SQuAD 2.0: Rajpurkar et al. 2018, arXiv 1806.03822);
    the script of 1.1 gives the same wherever every right answer has a word. From 0 to 1, where these print percent.
    """

    scores: ClassVar[tuple[str, ...]] = ("passages",)

    kind: Literal["exact_match"] = "exact_match"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (right, 1)."""
        return float(words_of(prediction) in references_of(reference)), 1.0

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return right / examples."""
        return sums[..., 0] / sums[..., 1]
