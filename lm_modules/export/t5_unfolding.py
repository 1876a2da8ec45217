"""A stock T5 as the weights of our encoder-decoder: the inverse of the fold.

The gains of its norms go into the maps that read what was normed:

    before self-attention      query, key, value
    before cross-attention     query                            key and value read the encoder's last norm
    before feed-forward        gate, up
    last of the encoder        key and value of every cross-attention
    last of the decoder        readout; with tied embeddings no map of its own follows, so it must be what it is
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from configs.model import ModelConfig
from lm_modules.export.architectures.t5 import ATTENTION, FEED_FORWARD, factor_of
from lm_modules.export.folding import require_gain, scaled


def unfold_t5(stock: Mapping[str, Tensor], network: Any, model: ModelConfig) -> dict[str, Tensor]:
    """Return the weights of our encoder-decoder by name."""
    weights = {"embedding.weight": scaled(stock["shared.weight"], 1 / network.embedding.scale.forward)}
    memory_gain_D, last_gain_D = (stock[f"{stack}.final_layer_norm.weight"] for stack in ("encoder", "decoder"))
    for stack in ("encoder", "decoder"):
        block = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        weights[f"{stack}_bias.weight"] = stock[block].clone()
        for number, layer in enumerate(getattr(network, f"{stack}_layers")):
            place, own = f"{stack}.block.{number}.layer", f"{stack}_layers.{number}"
            gain_D = stock[f"{place}.0.layer_norm.weight"]
            found = _attention(stock, f"{place}.0.SelfAttention", layer.attention, gain_D, gain_D)
            weights |= {f"{own}.attention.{name}": weight for name, weight in found.items()}
            last = 1
            if layer.cross_attention is not None:
                gain_D, last = stock[f"{place}.1.layer_norm.weight"], 2
                found = _attention(stock, f"{place}.1.EncDecAttention", layer.cross_attention, gain_D, memory_gain_D)
                weights |= {f"{own}.cross_attention.{name}": weight for name, weight in found.items()}
            found = _feed_forward(stock, f"{place}.{last}", layer.feed_forward)
            weights |= {f"{own}.feed_forward.{name}": weight for name, weight in found.items()}
    readout = network.readout_scale.forward
    if network.readout is not None:
        weights["readout.weight"] = scaled(stock["lm_head.weight"] * last_gain_D, 1 / readout)
    else:
        needed = readout / network.embedding.scale.forward * math.sqrt(model.width)
        require_gain(last_gain_D, needed, "the decoder's last norm, whose readout is tied to the embedding,")
    return weights


def _attention(
    stock: Mapping[str, Tensor], place: str, attention: Any, query_gain_D: Tensor, read_gain_D: Tensor
) -> dict[str, Tensor]:
    gains = {"query": query_gain_D, "key": read_gain_D, "value": read_gain_D}
    weights = {}
    for matrix, stock_name in ATTENTION.items():
        weight = stock[f"{place}.{stock_name}.weight"] * gains.get(matrix, 1.0)
        weights[f"{matrix}.weight"] = scaled(weight, 1 / factor_of(attention, matrix))
    return weights


def _feed_forward(stock: Mapping[str, Tensor], place: str, feed_forward: Any) -> dict[str, Tensor]:
    gain_D = stock[f"{place}.layer_norm.weight"]
    weights = {}
    for matrix, stock_name in FEED_FORWARD.items():
        weight = stock[f"{place}.DenseReluDense.{stock_name}.weight"]
        weight = weight if matrix == "down" else weight * gain_D
        weights[f"{matrix}.weight"] = scaled(weight, 1 / factor_of(feed_forward, matrix))
    return weights
