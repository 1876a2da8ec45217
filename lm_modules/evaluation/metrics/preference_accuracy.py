"""Preference accuracy: how often a model finds the preferred answer the likelier one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PreferenceAccuracy(Metric):
    """Part of the pairs whose chosen answer has the higher probability.

    The ranking accuracy of Chen et al. 2024 (arXiv:2405.19534, section 2). It is the model's own and needs no other
    beside it; the accuracy of rewards asks how much more than its base the model prefers an answer.
    """

    scores: ClassVar[tuple[str, ...]] = ("preferences",)

    kind: Literal["preference_accuracy"] = "preference_accuracy"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (right, 1)."""
        return float(prediction["chosen"] > prediction["rejected"]), 1.0

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return right / pairs."""
        return sums[..., 0] / sums[..., 1]
