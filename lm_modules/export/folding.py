"""Our decoder or encoder as the weights of a stock Llama, and back; EuroBERT, Qwen3 and Ministral name theirs alike.

Every constant of a parametrization stands beside a linear map, so it can be multiplied into that map's weights: the
stock model then computes the same logits with no knowledge of the constants. Three places need a word. Llama divides
attention logits by sqrt(head width) itself, so the query carries what remains; where queries are normed, the gain of
their norm carries it. A tied readout cannot differ from the embedding, so the gain of the last norm carries its
constant.
"""

# D width, V vocabulary

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from configs.model import ModelConfig
from lm_modules.model.parametrization import Scales
from lm_modules.model.transformer import matrix_of

STOCK_NAMES = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "output": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}

STOCK_ACTIVATIONS = {"silu": "silu", "gelu": "gelu_pytorch_tanh"}


def llama_settings(model: ModelConfig, vocab_size: int) -> dict[str, Any]:
    """Return the fields of the stock configuration that tell this shape."""
    return {
        "vocab_size": vocab_size,
        "hidden_size": model.width,
        "intermediate_size": model.feed_forward,
        "num_hidden_layers": model.depth,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.num_key_value_heads,
        "head_dim": model.head_width,
        "hidden_act": STOCK_ACTIVATIONS[model.activation],
        "max_position_embeddings": model.context_length,
        "rms_norm_eps": model.norm_epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": model.rope_theta},
        "tie_word_embeddings": model.tied_embeddings,
    }


def layer_types(model: ModelConfig) -> list[str]:
    """Return how far each layer reads, in the words of the stock configurations."""
    return ["sliding_attention" if model.is_local(layer) else "full_attention" for layer in range(model.depth)]


def window_settings(model: ModelConfig) -> dict[str, Any]:
    """Return the fields of a stock decoder that has local layers."""
    return {"layer_types": layer_types(model), "sliding_window": model.sliding_window}


def fold(weights: Mapping[str, Tensor], model: ModelConfig, scales: Scales) -> dict[str, Tensor]:
    """Return the stock model's weights for ours; multiplied in float64, given in the dtype that they came in."""
    embedding = weights["embedding.weight"]
    folded = {"model.embed_tokens.weight": scaled(embedding, scales.matrices["embedding"].forward)}
    for name, weight in weights.items():
        if name.startswith("layers."):
            factors = multipliers(model, scales, int(name.split(".")[1]))
            folded[_stock_name(name)] = scaled(weight, factors[matrix_of(name)])
    ones_D = torch.ones_like(embedding[0])
    for layer in range(model.depth):
        folded[f"model.layers.{layer}.input_layernorm.weight"] = ones_D.clone()
        folded[f"model.layers.{layer}.post_attention_layernorm.weight"] = ones_D.clone()
        if model.query_key_norm:
            ones_K = torch.ones(model.head_width, dtype=embedding.dtype)
            folded[f"model.layers.{layer}.self_attn.q_norm.weight"] = ones_K * _logits_factor(model, scales)
            folded[f"model.layers.{layer}.self_attn.k_norm.weight"] = ones_K.clone()
    if model.tied_embeddings:
        folded["model.norm.weight"] = ones_D * tied_gain(scales)
        folded["lm_head.weight"] = folded["model.embed_tokens.weight"]
    else:
        folded["model.norm.weight"] = ones_D.clone()
        if "readout.weight" in weights:
            folded["lm_head.weight"] = scaled(weights["readout.weight"], scales.matrices["readout"].forward)
    return folded


def unfold(stock: Mapping[str, Tensor], model: ModelConfig, scales: Scales) -> dict[str, Tensor]:
    """Return our weights for a stock model's; gains of its norms go into the maps that read them.

    With tied embeddings the last norm must be what `fold` makes it, because no map of its own follows it; and so must
    the norms of queries and keys, which are turned before they meet.
    """
    embedding_VD = stock["model.embed_tokens.weight"]
    weights = {"embedding.weight": scaled(embedding_VD, 1 / scales.matrices["embedding"].forward)}
    for layer in range(model.depth):
        factors = multipliers(model, scales, layer)
        for matrix, stock_name in STOCK_NAMES.items():
            weight = stock[f"model.layers.{layer}.{stock_name}.weight"]
            if matrix in ("query", "key", "value"):
                weight = weight * stock[f"model.layers.{layer}.input_layernorm.weight"]
            elif matrix in ("gate", "up"):
                weight = weight * stock[f"model.layers.{layer}.post_attention_layernorm.weight"]
            weights[_own_name(layer, matrix)] = scaled(weight, 1 / factors[matrix])
        if model.query_key_norm:
            norm = f"model.layers.{layer}.self_attn.{{}}_norm.weight"
            gain_K = stock[norm.format("q")] * stock[norm.format("k")]
            require_gain(gain_K, _logits_factor(model, scales), f"the norms of queries and keys in layer {layer}")
    gain_D = stock["model.norm.weight"]
    if not model.tied_embeddings:
        weights["readout.weight"] = scaled(stock["lm_head.weight"] * gain_D, 1 / scales.matrices["readout"].forward)
    else:
        require_gain(gain_D, tied_gain(scales), "the last norm, whose readout is tied to the embedding,")
    return weights


def require_gain(gain_D: Tensor, needed: float, where: str) -> None:
    """Raise a ValueError unless all gains of a norm are the one that this parametrization needs there."""
    if not torch.allclose(gain_D, torch.full_like(gain_D, needed), rtol=1e-6, atol=0.0):
        raise ValueError(
            f"{where} has gains from {float(gain_D.min()):.7g} to {float(gain_D.max()):.7g}; no matrix of our network "
            f"can hold others than {needed:.7g}.{_rounded(gain_D, needed)} Continue the model as it is: set "
            "pretraining.as_it_is to true"
        )


def _rounded(gain_D: Tensor, needed: float) -> str:
    """Return a sentence where the gains would be right but for the number format that they were saved in."""
    halves = (torch.tensor(needed).to(dtype).to(gain_D.dtype) for dtype in (torch.bfloat16, torch.float16))
    if not any(bool((gain_D == each).all()) for each in halves):
        return ""
    return (
        " Was it saved in half precision (bfloat16 or float16)? That rounds the gains: take the model as it was "
        "exported, in float32."
    )


def multipliers(model: ModelConfig, scales: Scales, layer: int) -> dict[str, float]:
    """Return what each matrix of ours is multiplied by to become the stock one, those of the given layer among them."""
    factors = {name: matrix.forward for name, matrix in scales.matrices.items()}
    factors["query"] *= 1.0 if model.query_key_norm else _logits_factor(model, scales)
    mix = scales.local_attention_mix if model.is_local(layer) else scales.attention_mix
    factors["output"] *= mix * scales.attention_branch
    factors["gate"] *= scales.gate
    factors["down"] *= scales.gated / scales.gate * scales.feed_forward_branch
    return factors


def _logits_factor(model: ModelConfig, scales: Scales) -> float:
    return scales.attention_logits * math.sqrt(model.head_width)


def tied_gain(scales: Scales) -> float:
    """Return the gain of the last norm that makes a readout of the embedding."""
    return scales.matrices["readout"].forward / scales.matrices["embedding"].forward


def _stock_name(name: str) -> str:
    layer = name.split(".")[1]
    return f"model.layers.{layer}.{STOCK_NAMES[matrix_of(name)]}.weight"


def _own_name(layer: int, matrix: str) -> str:
    part = "attention" if STOCK_NAMES[matrix].startswith("self_attn") else "feed_forward"
    return f"layers.{layer}.{part}.{matrix}.weight"


def scaled(weight: Tensor, factor: float) -> Tensor:
    """Return the product, computed in float64, in the dtype of the weight."""
    return (weight.double() * factor).to(weight.dtype)
