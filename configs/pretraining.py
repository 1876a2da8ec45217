"""The pretraining stage: what is trained, on which objective, how long, with what."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from configs.base import Config
from configs.batch_sizes import BatchSizes
from configs.component import OneOf
from configs.compute import ComputeConfig
from configs.model import ModelConfig
from configs.optimization import OptimizationConfig
from configs.size import with_size

HIGHEST_STANDARD_RATE = 0.05
"""With the standard parametrization a higher learning rate of AdamW learns next to nothing; it is meant for u_mup."""


class PretrainingConfig(Config):
    """Learn from unlabelled text."""

    model_config = ConfigDict(title="Pretraining")

    base: str | None = None
    """A model to continue from: a directory, an MLflow uri, NAME@alias or a Hugging Face name. Its shape takes the
    place of the defaults of `model`, and the text is cut by its tokenizer. Null begins with random weights."""
    as_it_is: bool | None = None
    """Train the stock model of the base itself (true), or take its weights over into our network (false). Null takes
    them over where its architecture is one that we export (Llama, Qwen3, Ministral, EuroBERT, ModernBERT,
    T5)."""
    model: ModelConfig = ModelConfig()
    """Shape and parametrization."""
    objective: Annotated[Any, OneOf("lm_modules.objectives")] = "causal_lm"
    """What is learned from the text."""
    optimization: OptimizationConfig = OptimizationConfig(budget_steps=1000)
    """Optimizer, schedule, batch and budget."""
    compute: ComputeConfig = ComputeConfig()
    """Number format, threads, checkpoints."""
    validation_every_steps: int | None = Field(default=100, ge=1)
    """Measure the loss on held-out text after this many steps, and after the last; null measures only at the end."""
    validation_tokens: int | None = Field(default=65_536, ge=1)
    """Held-out tokens read each time, from the start of the validation split; null reads all of it."""

    @model_validator(mode="before")
    @classmethod
    def _batch_and_budget_of_the_size(cls, values: Any) -> Any:
        return with_size(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _as_it_is_needs_a_base(self) -> Self:
        if self.as_it_is is not None and self.base is None:
            raise ValueError("as_it_is says how a base is continued, and there is none; set base, or leave it out")
        return self

    @model_validator(mode="after")
    def _rows_fill_the_batch(self) -> Self:
        optimization, row = self.optimization, self.model.context_length
        for name in ("batch_tokens", "batch_tokens_start"):
            batch = getattr(optimization, name)
            if batch is not None and batch % row:
                raise ValueError(
                    f"optimization.{name} {batch} is not a multiple of model.context_length {row}; "
                    f"take {max(1, round(batch / row)) * row}"
                )
        return self

    @model_validator(mode="after")
    def _a_batch_has_the_rows_that_the_objective_needs(self) -> Self:
        needed, row = self.objective.fewest_rows(), self.model.context_length
        for name in ("batch_tokens", "batch_tokens_start"):
            batch = getattr(self.optimization, name)
            if batch is not None and batch < needed * row:
                raise ValueError(
                    f"{self.objective.kind} needs at least {needed} rows in a batch; raise optimization.{name} {batch} "
                    f"to {needed * row}"
                )
        return self

    @model_validator(mode="after")
    def _learning_rate_fits_the_parametrization(self) -> Self:
        rate = self.optimization.learning_rate
        alone = self.optimization.optimizer == "adamw"  # beside Muon it moves little, and breaks nothing
        if alone and self.model.parametrization.kind == "standard" and rate > HIGHEST_STANDARD_RATE:
            raise ValueError(
                f"optimization.learning_rate {rate:g} is one for u_mup; model.parametrization standard needs one of "
                f"1e-4 to 1e-2, at most {HIGHEST_STANDARD_RATE:g}, lower for wider models"
            )
        return self

    @model_validator(mode="after")
    def _a_stock_architecture_can_hold_it(self) -> Self:
        if not self.as_it_is:
            self.objective.architecture(self.model)
        return self

    @property
    def batch_sizes(self) -> BatchSizes:
        """How many rows each step has."""
        optimization, row = self.optimization, self.model.context_length
        return BatchSizes(
            rows=optimization.batch_tokens // row,
            row_tokens=row,
            first_rows=(optimization.batch_tokens_start or optimization.batch_tokens) // row,
            ramp_steps=optimization.batch_ramp_steps or 0,
        )
