"""Relation F1, the mean over the relations: the measure of SemEval-2010 task 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIRECTIONS = ("(e1,e2)", "(e2,e1)")


class RelationF1(Metric):
    """Mean F1 over the relations, with directions, as the official scorer (Hendrickx et al. 2010, v1.2) counts it.

    The two directions of a relation are one relation, and a right relation in the wrong direction is wrong. "No
    relation" is none, but counts where another is predicted for it. Relations without a true example are left out, as
    in `macro_f1`; the scorer, which knows its nine, would take them for 0.
    """

    scores: ClassVar[tuple[str, ...]] = ("labels",)

    kind: Literal["relation_f1"] = "relation_f1"
    no_relation: tuple[str, ...] = ("Other", "no_relation")
    """Labels that say that there is none."""

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return hits, predictions and references of every relation, one after another."""
        relations = sorted({relation_of(label) for label in labels if label not in self.no_relation})
        found, asked = relation_of(prediction), relation_of(reference)
        hits = [float(each == asked and prediction == reference) for each in relations]
        predicted = [float(each == found) for each in relations]
        true = [float(each == asked) for each in relations]
        return (*hits, *predicted, *true)

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return the mean of the relations' F1."""
        import numpy as np

        hits, predicted, true = np.split(sums, 3, axis=-1)
        occurs = true > 0
        f1 = 2 * hits / np.where(occurs, predicted + true, 1.0)
        return f1.sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)


def relation_of(label: str) -> str:
    """Return a label without its direction."""
    for direction in DIRECTIONS:
        label = label.removesuffix(direction)
    return label
