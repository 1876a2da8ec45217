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
    zero_outputs: bool = False
    """Begin with zeros in the weights that write into the residual stream: every layer begins as the identity."""

    def scales(self, model: ModelConfig, vocab_size: int, batch_tokens: int, *, causal: bool = True) -> Scales:
        """Return ones everywhere but in the initial weights and the attention logits (1 / sqrt(head width))."""
        residual_std = 0.0 if self.zero_outputs else self.initial_std / math.sqrt(2 * model.depth)
        plain = MatrixScale(initial_std=self.initial_std)

        def hidden(fan_in: int, std: float) -> MatrixScale:
            return MatrixScale(initial_std=std, orthogonal_learning_rate=fan_in**-0.5)

        reads_stream = hidden(model.width, self.initial_std)
        return Scales(
            matrices={
                **dict.fromkeys(("query", "key", "value", "gate", "up", "transform"), reads_stream),
                "output": hidden(model.heads * model.head_width, residual_std),
                "down": hidden(model.feed_forward, residual_std),
                **dict.fromkeys(("embedding", "readout", "dense", "answer"), plain),
                "position_bias": MatrixScale(initial_std=0.0),
            },
            attention_logits=model.head_width**-0.5,
            attention_mix=1.0,
            local_attention_mix=1.0,
            gate=1.0,
            gated=1.0,
            attention_branch=1.0,
            feed_forward_branch=1.0,
        )
