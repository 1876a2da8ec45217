"""How weights are learned: optimizer, schedule, batch and budget."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from configs.base import Config
from configs.budget import BUDGET_KEYS, refuse_several_budgets


class OptimizationConfig(Config):
    """An optimizer under a schedule, for exactly one budget of steps, tokens or minutes."""

    model_config = ConfigDict(title="Optimization")

    optimizer: Literal["adamw", "muon"] = "adamw"
    """AdamW for all weights, or Muon for the matrices of the layers and AdamW for the rest."""
    muon_learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of the matrices that Muon moves, about 0.02; null takes learning_rate."""
    muon_momentum: float = Field(default=0.95, ge=0, lt=1)
    """Decay of Muon's running mean of the gradient."""
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
    schedule: Literal["warmup_stable_decay", "cosine", "linear"] = "warmup_stable_decay"
    """How the learning rate falls after the warm-up: late and straight, or all along a half wave or a straight line."""
    spike_nats: float | None = Field(default=5.0, gt=0)
    """Leave a step out whose loss is so much above the mean of the last 50, times the weights of the parts of the loss
    (51 in all for replaced_token_detection, 1 for most); null leaves none out for that. Batches of a healthy run differ
    by far less than 5: in 300 to 600 steps of 512 tokens the largest excess was 0.3 of 5 nats (causal_lm), 1.2 of 10
    (next_sentence) and 6 of 255 (replaced_token_detection)."""
    max_skipped_steps: int = Field(default=3, ge=0)
    """Steps in a row that may be left out, because their loss or gradient is no number or their loss is a spike, before
    training goes back to its last good checkpoint and leaves them out from there."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Steps in which the learning rate rises to its peak; null takes warmup_fraction of the budget. Where they and the
    decay do not fit into the budget, the peak is not reached, and the log says so."""
    warmup_fraction: float = Field(default=0.05, ge=0, le=1)
    """Part of the budget in which the learning rate rises, where warmup_steps is not given."""
    decay_fraction: float = Field(default=0.3, ge=0, le=1)
    """Last part of the budget, in which the learning rate falls to final_fraction of its peak in a straight line; the
    other schedules than warmup_stable_decay take no notice of it."""
    final_fraction: float = Field(default=0.0, ge=0, le=1)
    """What is left of the learning rate at the end, as a part of the peak."""
    batch_tokens: int = Field(default=8192, ge=8)
    """Tokens of one optimizer step; a multiple of the model's context_length."""
    batch_tokens_start: int | None = Field(default=None, ge=8)
    """Tokens of the first step, from which the batch grows to batch_tokens in batch_ramp_steps; a multiple of
    context_length. Null begins with batch_tokens."""
    batch_ramp_steps: int | None = Field(default=None, ge=1)
    """Steps in which the batch grows from batch_tokens_start, in a straight line; the learning rate does not follow
    it."""
    micro_batch_rows: int | None = Field(default=None, ge=1)
    """Rows that pass through the model at once; null takes the whole batch. It changes memory and speed, not the
    result."""
    budget_steps: int | None = Field(default=None, ge=1)
    """Train for this many optimizer steps."""
    budget_tokens: int | None = Field(default=None, ge=1)
    """Train on this many tokens, in whole steps, rounded up."""
    budget_minutes: float | None = Field(default=None, gt=0)
    """Train for about this long: the first steps are timed, and the number of steps is fixed from then on. The time of
    the training steps alone counts, not that of validations and checkpoints."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse_several_budgets({name: getattr(self, name) for name in BUDGET_KEYS})
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas} must lie in [0, 1); usual are 0.9, 0.95")
        if (self.batch_tokens_start is None) != (self.batch_ramp_steps is None):
            raise ValueError(
                "batch_tokens_start and batch_ramp_steps belong together: from which size the batch grows, and in how "
                "many steps; set both or neither"
            )
        if self.batch_tokens_start is not None and self.batch_tokens_start > self.batch_tokens:
            raise ValueError(
                f"batch_tokens_start {self.batch_tokens_start} exceeds batch_tokens {self.batch_tokens}; "
                "a batch grows, so lower it"
            )
        if self.optimizer != "muon" and self.muon_learning_rate is not None:
            raise ValueError("muon_learning_rate has no effect with optimizer adamw; set optimizer to muon")
        if self.optimizer != "muon" and self.muon_momentum != type(self).model_fields["muon_momentum"].default:
            raise ValueError(
                f"muon_momentum {self.muon_momentum:g} has no effect with optimizer adamw; set optimizer to muon, or "
                "leave muon_momentum out"
            )
        warmup = 0.0 if self.warmup_steps is not None else self.warmup_fraction
        if self.schedule == "warmup_stable_decay" and warmup + self.decay_fraction > 1:
            raise ValueError(
                f"warmup_fraction {self.warmup_fraction} and decay_fraction {self.decay_fraction} "
                "add up to more than 1; shorten one"
            )
        return self
