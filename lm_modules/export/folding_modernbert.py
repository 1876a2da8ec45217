"""Our ModernBERT as the weights of the stock one, and back: which of our matrices stand in which, and by what factor.

Every stock matrix is one or more of ours, one below the other, each multiplied by a number; every norm of theirs has a
gain, and ours has none, so it is filled with a number. `places`, `factors` and `gains` say all of it; on the way back
a gain goes into the matrix that reads the norm (`readers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from configs.model import ModelConfig
from lm_modules.export.folding import STOCK_ACTIVATIONS, layer_types, multipliers, require_gain, scaled, tied_gain
from lm_modules.model.parametrization import Scales

IN_A_LAYER = {
    "attn.Wqkv": ("attention.query", "attention.key", "attention.value"),
    "attn.Wo": ("attention.output",),
    "mlp.Wi": ("feed_forward.gate", "feed_forward.up"),
    "mlp.Wo": ("feed_forward.down",),
}


def places(model: ModelConfig) -> dict[str, tuple[str, ...]]:
    """Return our parameters by the stock one that they become; with tied embeddings one of ours becomes two."""
    table: dict[str, tuple[str, ...]] = {"model.embeddings.tok_embeddings": ("embedding",)}
    for layer in range(model.depth):
        for stock, own in IN_A_LAYER.items():
            table[f"model.layers.{layer}.{stock}"] = tuple(f"layers.{layer}.{name}" for name in own)
    table["head.dense"] = ("head.transform",)
    table["decoder"] = ("embedding",) if model.tied_embeddings else ("readout",)
    return {f"{stock}.weight": tuple(f"{name}.weight" for name in own) for stock, own in table.items()}


def factors(model: ModelConfig, scales: Scales) -> dict[str, float]:
    """Return what each parameter of ours is multiplied by."""
    table = {name: scales.matrices[name].forward for name in ("embedding", "readout")}
    table["head.transform"] = scales.matrices["transform"].forward
    for layer in range(model.depth):
        of_layer = multipliers(model, scales, layer)
        for names in IN_A_LAYER.values():
            table |= {f"layers.{layer}.{name}": of_layer[name.rpartition(".")[2]] for name in names}
    return {f"{name}.weight": factor for name, factor in table.items()}


def gains(model: ModelConfig, scales: Scales) -> dict[str, float]:
    """Return what each stock norm is filled with; the first layer has none before its attention."""
    names = ["model.embeddings.norm", "model.final_norm", "head.norm"]
    for layer in range(model.depth):
        names += [f"model.layers.{layer}.{each}" for each in ("attn_norm", "mlp_norm")[0 if layer else 1 :]]
    table = {f"{name}.weight": 1.0 for name in names}
    if model.tied_embeddings:
        table["head.norm.weight"] = tied_gain(scales)
    return table


def readers(model: ModelConfig) -> dict[str, str]:
    """Return the norms that one stock matrix alone reads, by that matrix.

    The norm of the embedding is none of them, the residual stream goes on from it; nor is the last norm before a tied
    readout, which must stay the embedding.
    """
    table = {"head.dense": "model.final_norm"}
    if not model.tied_embeddings:
        table["decoder"] = "head.norm"
    for layer in range(model.depth):
        table[f"model.layers.{layer}.mlp.Wi"] = f"model.layers.{layer}.mlp_norm"
        if layer:
            table[f"model.layers.{layer}.attn.Wqkv"] = f"model.layers.{layer}.attn_norm"
    return {f"{stock}.weight": f"{norm}.weight" for stock, norm in table.items()}


def fold_modernbert(weights: Mapping[str, Tensor], model: ModelConfig, scales: Scales) -> dict[str, Tensor]:
    """Return the stock weights; multiplied in float64, given in the dtype that they came in.

    Without a readout (a discriminator has none) the stock readout is left out.
    """
    factor = factors(model, scales)
    folded = {
        stock: torch.cat([scaled(weights[name], factor[name]) for name in own])
        for stock, own in places(model).items()
        if all(name in weights for name in own)
    }
    ones_D = torch.ones_like(weights["embedding.weight"][0])
    return folded | {name: ones_D * gain for name, gain in gains(model, scales).items()}


def unfold_modernbert(stock: Mapping[str, Tensor], model: ModelConfig, scales: Scales) -> dict[str, Tensor]:
    """Return our weights for the stock ones; a ValueError names the norm whose gains no matrix of ours can hold."""
    factor, norm_before, weights = factors(model, scales), readers(model), {}
    for name, own in places(model).items():
        weight = stock[name] * stock[norm_before[name]] if name in norm_before else stock[name]
        for part, each in zip(weight.chunk(len(own)), own, strict=True):
            weights[each] = scaled(part, 1 / factor[each])
    for norm, gain in gains(model, scales).items():
        if norm not in norm_before.values():
            last = ", whose readout is tied to the embedding," if norm == "head.norm.weight" else ""
            require_gain(stock[norm], gain, f"{norm.removesuffix('.weight')}{last}")
    return weights


def modernbert_settings(model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the stock configuration that tell this shape, and the special tokens."""
    rope = {
        "full_attention": model.rope_theta,
        "sliding_attention": model.local_rope_theta or model.rope_theta,
    }
    return {
        "vocab_size": vocab_size,
        "hidden_size": model.width,
        "intermediate_size": model.feed_forward,
        "num_hidden_layers": model.depth,
        "num_attention_heads": model.heads,
        "hidden_activation": STOCK_ACTIVATIONS[model.activation],
        "max_position_embeddings": model.context_length,
        "norm_eps": model.norm_epsilon,
        "layer_types": layer_types(model),
        "local_attention": model.sliding_window or model.context_length,
        "rope_parameters": {name: {"rope_type": "default", "rope_theta": theta} for name, theta in rope.items()},
        "decoder_bias": False,
        "tie_word_embeddings": model.tied_embeddings,
        "cls_token_id": ids["bos_token_id"],
        "sep_token_id": ids["eos_token_id"],
        **ids,
    }
