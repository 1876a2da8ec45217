"""What a model costs: the floating-point operations of training.

    operations = 6 x weights x positions  +  12 x attention width x positions x positions read        for every layer

A multiplication and an addition count as two; the backward pass costs twice the forward pass. Six for every weight that
is multiplied (Kaplan et al. 2020, arXiv 2001.08361, section 2.1); twelve because attention multiplies twice, of which
causality leaves half (Chowdhery et al. 2022, arXiv 2204.02311, appendix B, count it whole). The embedding is looked up
and costs nothing, the readout is multiplied where a position is scored. Norms, activations and the optimizer are not
counted, nor is what is computed a second time.
"""

from __future__ import annotations

from configs.model import ModelConfig
from configs.size import num_layer_weights

FORMULA = "6 x weights x positions + 12 x attention width x positions x positions read (causal: half) for each layer"
"""The same in a line, for people who read a utilization and ask what was counted."""


def layers_flops(model: ModelConfig, length: int, *, causal: bool) -> float:
    """Return the operations of a row of `length` positions in all layers, forward and backward."""
    return 6 * num_layer_weights(model) * length + attention_flops(model, length, causal=causal)


def cross_attention_flops(model: ModelConfig, length: int, length_read: int) -> float:
    """Return the operations of the attentions by which a decoder of `length` positions reads an encoder whole."""
    weights = 6 * model.depth * (_query_weights(model) * length + _key_value_weights(model) * length_read)
    return weights + 12 * model.depth * model.heads * model.head_width * length * length_read


def attention_flops(model: ModelConfig, length: int, *, causal: bool) -> float:
    """Return the operations of queries with keys and of weights with values, in all layers that read their own row.

    Local layers read a window alone (see `lm_modules.model.reach`).
    """
    local = sum(model.is_local(layer) for layer in range(model.depth))
    whole_pairs = length**2 / 2 if causal else length**2
    pairs = (model.depth - local) * whole_pairs + local * _pairs_in_windows(model, length, causal=causal)
    return 12 * model.heads * model.head_width * pairs


def _pairs_in_windows(model: ModelConfig, length: int, *, causal: bool) -> float:
    """Return how many positions those of a row read in a local layer; a window as long as the row gives all."""
    window = model.sliding_window or length
    if causal:
        reached = min(window, length)
        return length * reached - reached**2 / 2
    side = min(window // 2, length - 1)
    return length * (2 * side + 1) - side * (side + 1)


def readout_flops(model: ModelConfig, outputs: int, num_scored: float) -> float:
    """Return the operations of reading so many positions out to so many numbers each."""
    return 6 * model.width * outputs * num_scored


def _query_weights(model: ModelConfig) -> int:
    """Weights of one layer that see the positions which read: query and output."""
    return 2 * model.width * model.heads * model.head_width


def _key_value_weights(model: ModelConfig) -> int:
    """Weights of one layer that see the positions which are read."""
    return 2 * model.width * model.num_key_value_heads * model.head_width
