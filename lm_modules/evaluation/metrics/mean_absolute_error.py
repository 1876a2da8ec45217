"""Mean absolute error: how far predicted numbers are from the right ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MeanAbsoluteError(Metric):
    """Mean distance to the right number, in its unit; as `sklearn.metrics.mean_absolute_error`."""

    scores: ClassVar[tuple[str, ...]] = ("numbers",)
    higher_is_better: ClassVar[bool] = False
    best: ClassVar[float] = 0.0

    kind: Literal["mean_absolute_error"] = "mean_absolute_error"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (distance, 1)."""
        return abs(float(prediction) - float(reference)), 1.0

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of distances / examples."""
        return sums[..., 0] / sums[..., 1]
