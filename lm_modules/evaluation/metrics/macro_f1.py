"""Macro-F1: the mean over the labels of the harmonic mean of precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MacroF1(Metric):
    """Mean F1 over the labels that occur; as `sklearn.metrics.f1_score(average="macro", zero_division=0)`.

    F1 of a label is 2 x hits / (times predicted + times true), so three columns a label suffice. A label that is
    neither predicted nor true among the examples (in a bootstrap replicate, say) has no F1 and is left out of the mean.
    """

    kind: Literal["macro_f1"] = "macro_f1"

    def statistics(self, prediction: str, reference: str, labels: Sequence[str]) -> tuple[float, ...]:
        """Return hits, predictions and references of every label, one after another: 3 x num_labels columns."""
        hits = [float(label == prediction == reference) for label in labels]
        predicted = [float(label == prediction) for label in labels]
        true = [float(label == reference) for label in labels]
        return (*hits, *predicted, *true)

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return the mean of the labels' F1."""
        import numpy as np

        hits, predicted, true = np.split(sums, 3, axis=-1)
        occurs = predicted + true > 0
        f1 = 2 * hits / np.where(occurs, predicted + true, 1.0)
        return f1.sum(axis=-1) / occurs.sum(axis=-1)
