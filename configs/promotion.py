"""When a model takes the place of the one in use."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from configs.base import Config, nearest
from configs.component import OneOf
from configs.evaluation import metric_of_kind

RANDOM_WEIGHTS = "random_weights"
"""The same architecture, not pretrained: what every tuned model is evaluated beside."""


UNTUNED = "untuned"
"""The base as it is, for heads that it can answer for."""


class PromotionConfig(Config):
    """The gate before `@champion`, declared before the evaluation is seen."""

    model_config = ConfigDict(title="Promotion")

    registered_name: str = Field(default="python-topics", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name in the model registry; one name is one purpose."""
    metric: Annotated[Any, OneOf("lm_modules.evaluation.metrics")] | None = None
    """The metric by which the challenger must be better; null takes the first of the head."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Confidence with which the paired difference must be above zero."""
    baselines: tuple[str, ...] | None = Field(default=None, min_length=1)
    """What a first model must beat, since there is no champion yet: random_weights, untuned (chat, preference and
    seq2seq: the base as it is), or a baseline of the head (majority and tfidf of classifiers). Null takes
    random_weights, untuned where there is one, and the head's first."""

    def require_known_baselines(self, head: Any) -> None:
        """Raise a ValueError if a baseline is none that models with this head are evaluated beside."""
        known = (*head.baselines, *_untuned(head), RANDOM_WEIGHTS)
        for each in self.baselines or ():
            if each not in known:
                raise ValueError(f"promotion.baselines: unknown baseline {each!r} of {head.kind}{nearest(each, known)}")

    def baselines_for(self, head: Any) -> tuple[str, ...]:
        """Return the baselines, or those for a head where none are named."""
        return self.baselines or (*head.baselines[:1], *_untuned(head), RANDOM_WEIGHTS)

    def metric_for(self, head: Any) -> Any:
        """Return the metric, or the first of a head where none is named."""
        return self.metric if self.metric is not None else metric_of_kind(head.metrics[0])


def _untuned(head: Any) -> tuple[str, ...]:
    return (UNTUNED,) if head.answers_untuned else ()
