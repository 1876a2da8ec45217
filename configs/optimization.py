"""How weights are learned: optimizer, schedule, batch and budget."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from configs.base import Config


class OptimizationConfig(Config):
    """AdamW under a warmup-stable-decay schedule, for exactly one budget of steps, tokens or minutes."""

    model_config = ConfigDict(title="Optimization")

    learning_rate: float = Field(default=1.0, gt=0)
    """Peak learning rate; with u_mup about 1 at any width, with standard about 1e-3 and falling with the width."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of AdamW's running mean of the gradient and of its square."""
    epsilon: float = Field(default=1e-8, gt=0)
    """Added to AdamW's denominator."""
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    """Fraction of every matrix taken away at each step at the peak of the schedule; independent of learning_rate."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Longest gradient, in the parametrization's own unit: sqrt(number of parameters) for u_mup (a usual gradient is
    about 2), 1 for standard. Null does not clip."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Steps in which the learning rate rises to its peak; null takes warmup_fraction of the budget."""
    warmup_fraction: float = Field(default=0.05, ge=0, le=1)
    """Part of the budget in which the learning rate rises, where warmup_steps is not given."""
    decay_fraction: float = Field(default=0.3, ge=0, le=1)
    """Last part of the budget, in which the learning rate falls to final_fraction of its peak in a straight line."""
    final_fraction: float = Field(default=0.0, ge=0, le=1)
    """What is left of the learning rate at the end, as a part of the peak."""
    batch_tokens: int = Field(default=8192, ge=8)
    """Tokens of one optimizer step; a multiple of the model's context_length."""
    micro_batch_rows: int | None = Field(default=None, ge=1)
    """Rows that pass through the model at once; null takes the whole batch. It changes memory and speed, not the
    result."""
    budget_steps: int | None = Field(default=None, ge=1)
    """Train for this many optimizer steps."""
    budget_tokens: int | None = Field(default=None, ge=1)
    """Train on this many tokens, in whole steps, rounded up."""
    budget_minutes: float | None = Field(default=None, gt=0)
    """Train for about this long: the first steps are timed, and the number of steps is fixed from then on."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = [name for name in BUDGETS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(BUDGETS)} is needed, not {', '.join(given) or 'none'}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas} must lie in [0, 1); usual are 0.9, 0.95")
        warmup = 0.0 if self.warmup_steps is not None else self.warmup_fraction
        if warmup + self.decay_fraction > 1:
            raise ValueError(
                f"warmup_fraction {self.warmup_fraction} and decay_fraction {self.decay_fraction} "
                "add up to more than 1; shorten one"
            )
        return self


BUDGETS = ("budget_steps", "budget_tokens", "budget_minutes")
