"""Relation F1 over all examples together: the measure of TACRED, and the second one of SemEval-2010 task 8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lm_modules.evaluation.metrics.relation_f1 import RelationF1

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RelationMicroF1(RelationF1):
    """F1 of the examples with a relation, with directions (Zhang et al. 2017, doi 10.18653/v1/D17-1004, section 4).

    Counted as in `relation_f1`, over all relations together, those without a true example included.
    """

    kind: Literal["relation_micro_f1"] = "relation_micro_f1"  # type: ignore[assignment]

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return 2 x hits / (predicted + true); 0 where there is none of either."""
        import numpy as np

        hits, predicted, true = (each.sum(axis=-1) for each in np.split(sums, 3, axis=-1))
        return 2 * hits / np.maximum(predicted + true, 1)
