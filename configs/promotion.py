"""When a model takes the place of the one in use."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator

from configs.base import Config, nearest
from configs.component import OneOf

BASELINES = ("majority", "tfidf", "random_weights")
"""What every tuned model is evaluated beside."""


class PromotionConfig(Config):
    """The gate before `@champion`, declared before the evaluation is seen."""

    model_config = ConfigDict(title="Promotion")

    registered_name: str = Field(default="python-topics", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name in the model registry; one name is one purpose."""
    metric: Annotated[Any, OneOf("lm_modules.evaluation.metrics")] = "macro_f1"
    """The metric by which the challenger must be better."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Confidence with which the paired difference must be above zero."""
    baselines: tuple[str, ...] = Field(default=("majority", "random_weights"), min_length=1)
    """What a first model must beat, since there is no champion yet: some of majority, tfidf and random_weights."""

    @field_validator("baselines")
    @classmethod
    def _known_baselines(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for each in names:
            if each not in BASELINES:
                raise ValueError(f"unknown baseline {each!r}{nearest(each, BASELINES)}")
        return names
