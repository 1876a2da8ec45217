"""Accuracy: the part of the examples that is predicted right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric, labels_in

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Accuracy(Metric):
    """Part of the examples whose prediction equals the reference; as `sklearn.metrics.accuracy_score`."""

    scores: ClassVar[tuple[str, ...]] = ("labels", "texts")

    kind: Literal["accuracy"] = "accuracy"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (right, 1); of several labels all must be right, in whatever order."""
        return float(labels_in(prediction) == labels_in(reference)), 1.0

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return right / examples."""
        return sums[..., 0] / sums[..., 1]
