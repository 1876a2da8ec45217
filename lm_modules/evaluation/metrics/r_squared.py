"""R squared: the part of the variance of the right numbers that predictions explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RSquared(Metric):
    """1 - squared errors / squared distances from the mean of the right numbers; as `sklearn.metrics.r2_score`.

    The mean as the answer to all scores 0, and worse ones score less. Where the right numbers do not vary, the score is
    1 without an error and 0 with one.
    """

    scores: ClassVar[tuple[str, ...]] = ("numbers",)

    kind: Literal["r_squared"] = "r_squared"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (1, y, y^2, squared error)."""
        y = float(reference)
        return 1.0, y, y * y, (float(prediction) - y) ** 2

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return the part that is explained."""
        import numpy as np

        count, y, yy, error = np.moveaxis(sums, -1, 0)
        spread = yy - y * y / count
        varies = spread > 1e-13 * yy
        return np.where(varies, 1 - error / np.where(varies, spread, 1.0), np.where(error > 0, 0.0, 1.0))
