"""Tag accuracy: the part of the words that is tagged right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TagAccuracy(Metric):
    """Part of the words whose tag equals the reference; as `seqeval.metrics.accuracy_score`."""

    scores: ClassVar[tuple[str, ...]] = ("tags",)

    kind: Literal["tag_accuracy"] = "tag_accuracy"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (words that are tagged right, words)."""
        return float(sum(one == other for one, other in zip(prediction, reference, strict=True))), float(len(reference))

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return right / words."""
        return sums[..., 0] / sums[..., 1]
