"""The usual scaling: small normal weights and one learning rate for all.

Residual outputs begin smaller by 1/sqrt(2 * depth), as in GPT-2 (Radford et al. 2019, section 2.3). The best learning
rate falls as the model widens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field

from lm_modules.model.parametrization import MatrixScale, Parametrization, Scales

if TYPE_CHECKING:
    from configs.model import ModelConfig


class Standard(Parametrization):
    """Normal weights of one standard deviation, no multipliers; the learning rate must be found anew for each width."""

    model_config = ConfigDict(title="Standard")

    kind: Literal["standard"] = "standard"
    """Standard parametrization."""
    initial_std: float = Field(default=0.02, gt=0)
    """Standard deviation of the weights at birth; those that write into the residual stream get it / sqrt(2 depth)."""

    def scales(self, model: ModelConfig, vocab_size: int, batch_tokens: int) -> Scales:
        """Return ones everywhere but in the initial weights and the attention logits (1 / sqrt(head width))."""
        plain = MatrixScale(initial_std=self.initial_std)
        residual = MatrixScale(initial_std=self.initial_std / math.sqrt(2 * model.depth))
        names = ("embedding", "query", "key", "value", "gate", "up", "readout")
        return Scales(
            matrices={**dict.fromkeys(names, plain), "output": residual, "down": residual},
            attention_logits=model.head_width**-0.5,
            attention_mix=1.0,
            gate=1.0,
            gated=1.0,
            attention_branch=1.0,
            feed_forward_branch=1.0,
        )
