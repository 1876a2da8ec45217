"""Macro-F1: the mean over the labels of the harmonic mean of precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric, labels_in

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MacroF1(Metric):
    """Mean F1 over the labels that are true of an example; as `sklearn.metrics.f1_score(labels=true, average="macro")`.

    F1 of a label is 2 x hits / (times predicted + times true), so three columns a label suffice. A label of which no
    example was drawn into a bootstrap replicate has no F1 there, even if it is predicted: scoring it 0 would push
    every replicate below the figure that it stands for.
    """

    scores: ClassVar[tuple[str, ...]] = ("labels",)

    kind: Literal["macro_f1"] = "macro_f1"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return hits, predictions and references of every label, one after another: 3 x num_labels columns."""
        found, asked = labels_in(prediction), labels_in(reference)
        hits = [float(label in found and label in asked) for label in labels]
        predicted = [float(label in found) for label in labels]
        true = [float(label in asked) for label in labels]
        return (*hits, *predicted, *true)

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return the mean of the labels' F1."""
        import numpy as np

        hits, predicted, true = np.split(sums, 3, axis=-1)
        occurs = true > 0
        f1 = 2 * hits / np.where(occurs, predicted + true, 1.0)  # no hits where the label is not true
        return f1.sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)
