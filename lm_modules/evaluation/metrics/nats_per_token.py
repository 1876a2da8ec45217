"""Nats per token: how unlikely a model finds what was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NatsPerToken(Metric):
    """Cross-entropy of all answers by their number of tokens; its exponential is the perplexity (Jelinek et al. 1977).

    Models are comparable by it if they have one tokenizer.
    """

    scores: ClassVar[tuple[str, ...]] = ("likelihoods",)
    higher_is_better: ClassVar[bool] = False
    best: ClassVar[float] = 0.0

    kind: Literal["nats_per_token"] = "nats_per_token"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (nats, tokens)."""
        return float(prediction["nats"]), float(prediction["tokens"])

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return nats / tokens."""
        import numpy as np

        return sums[..., 0] / np.maximum(sums[..., 1], 1.0)
