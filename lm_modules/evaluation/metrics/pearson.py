"""Pearson's correlation of numbers that are predicted with those that are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Pearson(Metric):
    """How near predictions are to a straight line over the right numbers, from -1 to 1; as `scipy.stats.pearsonr`.

    Where one of the two does not vary, there is no correlation, and 0 stands for it.
    """

    scores: ClassVar[tuple[str, ...]] = ("numbers",)

    kind: Literal["pearson"] = "pearson"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (1, x, y, x^2, y^2, xy)."""
        x, y = float(prediction), float(reference)
        return 1.0, x, y, x * x, y * y, x * y

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return the covariance over both deviations."""
        import numpy as np

        count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
        # differences of sums are exact to some 1e-16 of the squares: what is less than that does not vary
        spread_x, spread_y = xx - x * x / count, yy - y * y / count
        varies = (spread_x > 1e-13 * xx) & (spread_y > 1e-13 * yy)
        scale = np.sqrt(np.where(varies, spread_x, 1.0)) * np.sqrt(np.where(varies, spread_y, 1.0))
        return np.clip(np.where(varies, (xy - x * y / count) / scale, 0.0), -1.0, 1.0)
