"""How a model is scaled: initial weights, constants in every operation, and the spread of the learning rate.

A parametrization turns the shape of a model into one table of plain numbers by name (`Scales`). The model multiplies
by them, the optimizer reads its multipliers from them, and the export folds them into the weights. Nothing is kept on
tensors, so no copy, cast or shard can lose it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from configs.component import Component

if TYPE_CHECKING:
    from configs.model import ModelConfig


@dataclass(frozen=True)
class MatrixScale:
    """Constants of one weight matrix."""

    initial_std: float
    """Standard deviation of the weights at birth."""
    forward: float = 1.0
    """Multiplies the output."""
    input_gradient: float = 1.0
    """Multiplies the gradient of the input (in place of `forward`)."""
    weight_gradient: float = 1.0
    """Multiplies the gradient of the weight (in place of `forward`)."""
    learning_rate: float = 1.0
    """Multiplies the learning rate."""
    orthogonal_learning_rate: float | None = None
    """Multiplies the learning rate times sqrt(width out) of an update with orthogonal rows or columns (Muon), so that
    the output moves alike at any width; None for what is no hidden matrix."""
    decays: bool = True
    """Whether weight decay takes from it; the biases and gains of stock models have none."""

    def after(self, factor: float) -> MatrixScale:
        """Return the constants of a matrix whose input is meant to be multiplied by a factor first."""
        return replace(
            self,
            forward=self.forward * factor,
            input_gradient=self.input_gradient * factor,
            weight_gradient=self.weight_gradient * factor,
        )


@dataclass(frozen=True)
class Scales:
    """Every constant of a stack of layers; the keys of `matrices` are the last word of a parameter's module name."""

    matrices: Mapping[str, MatrixScale]
    """embedding, query, key, value, output, gate, up, down, readout (with tied embeddings readout has no weight);
    position_bias (encoder-decoders); transform (between the last norm and the readout of ModernBERT); dense and answer
    (heads that answer a question about a text)."""
    attention_logits: float
    """Multiplies the products of queries and keys."""
    attention_mix: float
    """Multiplies the attention-weighted mean of the values."""
    local_attention_mix: float
    """The same in layers that read a window alone."""
    gate: float
    """Multiplies the gate inside its activation."""
    gated: float
    """Multiplies the product of the activated gate (divided by `gate` again) and the up projection."""
    attention_branch: float
    """Multiplies the attention branch where it joins the residual stream."""
    feed_forward_branch: float
    """Multiplies the feed-forward branch where it joins the residual stream."""


@dataclass(frozen=True)
class Scaling:
    """How gradients as a whole are measured."""

    loss_gradient: float = 1.0
    """Multiplies the gradient of the mean loss, never the loss that is reported."""
    gradient_norm_unit: Literal["one", "sqrt_parameters"] = "one"
    """What a gradient's length is measured in."""


class Parametrization(Component):
    """Base of the family."""

    @abstractmethod
    def scales(self, model: ModelConfig, vocab_size: int, batch_tokens: int, *, causal: bool = True) -> Scales:
        """Return the constants for a model of this shape, trained on `batch_tokens` tokens a step.

        `causal` says whether its attention reads backward only.
        """
        raise NotImplementedError

    def scaling(self, vocab_size: int, batch_tokens: int) -> Scaling:
        """Return how gradients are measured in a training on `batch_tokens` tokens a step."""
        return Scaling()
