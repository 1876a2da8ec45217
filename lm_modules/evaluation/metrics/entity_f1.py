"""Entity F1: of entities that are found whole, with their type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric
from lm_modules.serving.tag_entities import entities_by_the_rules, entities_in

if TYPE_CHECKING:
    from numpy.typing import NDArray


class EntityF1(Metric):
    """Micro F1 of entities as `conlleval` (Tjong Kim Sang and De Meulder 2003) and `seqeval.metrics.f1_score` count it.

    An entity is right if its type, its first and its last word are. Tags that belong to no scheme (parts of speech) are
    entities of one word.
    """

    scores: ClassVar[tuple[str, ...]] = ("tags",)

    kind: Literal["entity_f1"] = "entity_f1"
    strict: Literal["bio", "iobes", "bilou"] | None = None
    """Count what is well-formed in this scheme only (`mode="strict"` of seqeval); null reads any scheme, and makes the
    best of malformed tags."""

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (found and right, found, true)."""
        found, true = (
            set(entities_in(tags) if self.strict is None else entities_by_the_rules(tags, self.strict))
            for tags in (prediction, reference)
        )
        return float(len(found & true)), float(len(found)), float(len(true))

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return 2 x right / (found + true); 0 where there is none to find and none is found."""
        import numpy as np

        return 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1)
