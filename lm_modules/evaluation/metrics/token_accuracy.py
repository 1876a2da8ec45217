"""Token accuracy: the part of the tokens that a model would have said, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TokenAccuracy(Metric):
    """Part of the tokens of all answers that were the likeliest, each after the true tokens before it.

    As `sklearn.metrics.accuracy_score` over tokens. Models are comparable by it if they have one tokenizer.
    """

    scores: ClassVar[tuple[str, ...]] = ("likelihoods",)

    kind: Literal["token_accuracy"] = "token_accuracy"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (right, tokens)."""
        return float(prediction["right"]), float(prediction["tokens"])

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return right / tokens."""
        import numpy as np

        return sums[..., 0] / np.maximum(sums[..., 1], 1.0)
