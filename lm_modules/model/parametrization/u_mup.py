"""Unit-scaled maximal update parametrization, u-muP (Blake et al. 2024, arXiv 2407.17465).

Every activation, weight and gradient begins with standard deviation about 1, and the best learning rate stays where it
is when the model is widened. Two choices differ in form, not in result: the residual stream is plainly additive,
`y + alpha / sqrt(depth) * branch(norm(y))` (the paper's stream divided by its running product of constants), so that
the fold into stock Llama is exact; and the attention constant uses the configured context length or window, never the
length at hand, so that a cached or shorter text is computed alike. Added to the paper are GeGLU, local layers, and the
matrix before a readout.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field

from lm_modules.model.parametrization import MatrixScale, Parametrization, Scales, Scaling

if TYPE_CHECKING:
    from configs.model import ModelConfig


class UMup(Parametrization):
    """Unit-scaled muP: the learning rate found on a narrow model holds for a wide one."""

    model_config = ConfigDict(title="u-muP")

    kind: Literal["u_mup"] = "u_mup"
    """Unit-scaled maximal update parametrization."""
    alpha_feed_forward_activation: float = Field(default=1.0, gt=0)
    """Multiplies the gate inside its activation: larger is closer to ReLU, smaller to linear."""
    alpha_attention_softmax: float = Field(default=1.0, gt=0)
    """Multiplies the attention logits: larger attends more sharply."""
    alpha_residual: float = Field(default=1.0, gt=0)
    """Weight of all layers against the token embedding in the residual stream."""
    alpha_residual_attention_ratio: float = Field(default=1.0, gt=0)
    """Weight of the attention branches against the feed-forward branches."""
    alpha_loss_softmax: float = Field(default=1.0, gt=0)
    """Multiplies the logits of the loss."""

    def scales(self, model: ModelConfig, vocab_size: int, batch_tokens: int, *, causal: bool = True) -> Scales:
        """Return the paper's table of scales and multipliers, in the additive residual form."""
        attention_branch, feed_forward_branch = self._branches(model.depth)
        heads_width = model.heads * model.head_width

        def hidden(fan_in: int, branch_gradient: float = 1.0, depth: int = model.depth) -> MatrixScale:
            # A branch is scaled down at its end; backward the same factor acts at its beginning instead, so that the
            # gradients between keep unit scale.
            return MatrixScale(
                initial_std=1.0,
                forward=fan_in**-0.5,
                input_gradient=fan_in**-0.5 * branch_gradient,
                weight_gradient=batch_tokens**-0.5,
                learning_rate=(fan_in * depth) ** -0.5,
                orthogonal_learning_rate=depth**-0.5,
            )

        embedding = MatrixScale(
            initial_std=1.0,
            weight_gradient=(vocab_size / batch_tokens) ** 0.5,
            learning_rate=model.width**-0.5,
        )
        readout = MatrixScale(
            initial_std=1.0,
            forward=self.alpha_loss_softmax / model.width,
            input_gradient=vocab_size**-0.5,
            weight_gradient=batch_tokens**-0.5,
        )
        attention_in = hidden(model.width, attention_branch)
        feed_forward_in = hidden(model.width, feed_forward_branch)
        return Scales(
            matrices={
                "embedding": embedding,
                "query": attention_in,
                "key": attention_in,
                "value": attention_in,
                "output": hidden(heads_width),
                "gate": feed_forward_in,
                "up": feed_forward_in,
                "down": hidden(model.feed_forward),
                "transform": hidden(model.width, depth=1),  # behind the stack
                "readout": readout,
                # learning as fast as a readout it runs away; beginning at 0, it leaves the logits at unit scale
                "position_bias": MatrixScale(initial_std=0.0, learning_rate=model.width**-0.5),
                # it reads states that the readout reads too: its gradient must not outgrow the readout's with the width
                "dense": MatrixScale(
                    initial_std=1.0,
                    forward=model.width**-0.5,
                    input_gradient=model.width**-0.5,
                    learning_rate=model.width**-0.5,
                ),
                "answer": MatrixScale(initial_std=1.0, forward=1 / model.width),
            },
            attention_logits=self.alpha_attention_softmax / model.head_width,
            attention_mix=self._attention_mix(model, None, causal),
            local_attention_mix=self._attention_mix(model, model.sliding_window, causal),
            gate=self.alpha_feed_forward_activation,
            gated=(_gated_gelu if model.activation == "gelu" else _gated_silu)(self.alpha_feed_forward_activation),
            attention_branch=attention_branch,
            feed_forward_branch=feed_forward_branch,
        )

    def scaling(self, vocab_size: int, batch_tokens: int) -> Scaling:
        """Return what gives the gradient of a logit unit scale."""
        return Scaling(batch_tokens * vocab_size / math.sqrt(vocab_size - 1), "sqrt_parameters")

    def _branches(self, depth: int) -> tuple[float, float]:
        ratio = self.alpha_residual_attention_ratio
        feed_forward = self.alpha_residual * math.sqrt(2 / (1 + ratio**2))
        return ratio * feed_forward / math.sqrt(depth), feed_forward / math.sqrt(depth)

    def _attention_mix(self, model: ModelConfig, window: int | None, causal: bool) -> float:
        # Sharp attention picks one value (unit scale already). Flat attention averages, over all that it may read: an
        # encoder over the window; a decoder over 1, 2, ... up to the window, and from there on over the window.
        length = model.context_length
        width = min(window or length, length)
        mean_square = (math.log(width) + (length / width - 1)) / length if causal else 1 / width
        sharpness = 1 / (1 + 4 * model.head_width / self.alpha_attention_softmax**2)
        return 1 / _between(sharpness, math.sqrt(mean_square), 1.0)


def _gated_silu(alpha: float) -> float:
    """Return the paper's approximation of what gives `up * gate * sigmoid(alpha * gate)` unit scale."""
    return _between(1 / (1 + alpha**-2), 2.0, math.sqrt(2))


def _gated_gelu(alpha: float) -> float:
    """Return what gives `up * gelu(alpha * gate) / alpha` unit scale; not in the paper.

    For normal gates E[gate^2 Phi(alpha gate)^2] follows by partial integration (Stein) from
    E[Phi(alpha gate)^2] = 1/4 + arcsin(alpha^2 / (1 + alpha^2)) / 2 pi. It is exact for GELU and off by less than 1e-3
    for its tanh form; like SwiGLU's it goes from 2 (linear) to sqrt(2) (ReLU).
    """
    square = alpha**2
    mean_square = 0.25 + math.asin(square / (1 + square)) / (2 * math.pi)
    mean_square += square / (math.pi * (1 + square) * math.sqrt(1 + 2 * square))
    return 1 / math.sqrt(mean_square)


def _between(position: float, low: float, high: float) -> float:
    """Return the point at `position` (0 to 1) between low and high, in the logarithm."""
    return math.exp(position * math.log(high) + (1 - position) * math.log(low))
