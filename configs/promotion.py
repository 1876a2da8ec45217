"""When a model takes the place of the one in use."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from configs.base import Config
from configs.component import OneOf


class PromotionConfig(Config):
    """The gate before `@champion`, declared before the evaluation is seen."""

    model_config = ConfigDict(title="Promotion")

    registered_name: str = Field(default="python-topics", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name in the model registry; one name is one purpose."""
    metric: Annotated[Any, OneOf("lm_modules.evaluation.metrics")] = "macro_f1"
    """The metric by which the challenger must be better."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Confidence with which the paired difference must be above zero."""
    baselines: tuple[str, ...] = ("majority", "random_weights")
    """Evaluated models that a first model must beat, since there is no champion yet."""
