"""What a decoder costs: parameters, and floating-point operations a token."""

from __future__ import annotations

from configs.model import ModelConfig


def num_parameters(model: ModelConfig, vocab_size: int) -> int:
    """Return the number of weights; a tied matrix counts once."""
    return num_layer_parameters(model) + vocab_size * model.width * (1 if model.tied_embeddings else 2)


def num_layer_parameters(model: ModelConfig) -> int:
    """Return the weights of all layers, without embedding and readout."""
    query = 2 * model.width * model.heads * model.head_width
    key_value = 2 * model.width * model.num_key_value_heads * model.head_width
    return model.depth * (query + key_value + 3 * model.width * model.feed_forward)


def training_flops_per_token(model: ModelConfig, vocab_size: int) -> float:
    """Return operations of one token's forward and backward pass, a multiplication and an addition counted as two.

    Six for every weight that is multiplied (Kaplan et al. 2020, arXiv 2001.08361, section 2.1; the embedding is looked
    up, the readout multiplied), and for attention twelve for every width and position, of which causality leaves half.
    """
    multiplied = num_layer_parameters(model) + vocab_size * model.width
    attention = 12 * model.depth * model.heads * model.head_width * model.context_length / 2
    return 6 * multiplied + attention
