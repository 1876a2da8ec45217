"""From predictions to metrics, by way of column sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_modules.evaluation.metrics import Metric


def statistics(
    metric: Metric, predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]
) -> NDArray[np.float64]:
    """Return the rows of all examples, [examples, columns]."""
    pairs = zip(predictions, references, strict=True)
    return np.array([metric.statistics(prediction, reference, labels) for prediction, reference in pairs])


def score(metric: Metric, predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]) -> float:
    """Return the metric over all examples."""
    return float(metric.value(statistics(metric, predictions, references, labels).sum(axis=0)))
