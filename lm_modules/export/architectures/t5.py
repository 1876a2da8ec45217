"""The encoder-decoder as `T5ForConditionalGeneration`, version 1.1, gated (Shazeer 2020, arXiv 2002.05202).

T5 does not divide attention logits by sqrt(head width), so the query carries the whole constant. Tied, T5 multiplies
the decoder's last state by 1 / sqrt(width), which the gain of the last norm takes back.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.export.architectures import Architecture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from configs.model import ModelConfig

FEED_FORWARD = {"gate": "wi_0", "up": "wi_1", "down": "wo"}
ATTENTION = {"query": "q", "key": "k", "value": "v", "output": "o"}


class T5(Architecture):
    """Relative position biases, RMSNorm, gated SiLU or GELU."""

    kind: Literal["t5"] = "t5"
    task: ClassVar[str] = "text2text-generation"
    model_type: ClassVar[str | None] = "t5"
    auto_class: ClassVar[str] = "AutoModelForSeq2SeqLM"

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded encoder-decoder."""
        import torch
        from transformers import T5Config, T5ForConditionalGeneration

        settings: dict[str, Any] = dict(
            vocab_size=vocab_size,
            d_model=model.width,
            d_kv=model.head_width,
            d_ff=model.feed_forward,
            num_layers=model.depth,
            num_decoder_layers=model.depth,
            num_heads=model.heads,
            relative_attention_num_buckets=network.encoder_bias.num_buckets,
            relative_attention_max_distance=network.encoder_bias.max_distance,
            layer_norm_epsilon=model.norm_epsilon,
            feed_forward_proj=f"gated-{model.activation}",
            tie_word_embeddings=model.tied_embeddings,
            decoder_start_token_id=ids["pad_token_id"],
            dropout_rate=0.0,
        )
        stock = T5ForConditionalGeneration(T5Config(**settings, **ids))
        if not model.tied_embeddings:  # transformers 5 ties them all the same when it builds, though not when it loads
            stock.lm_head.weight = torch.nn.Parameter(stock.lm_head.weight.detach().clone())
        stock.load_state_dict(_folded(network, model), strict=True)
        return stock.eval()

    def shape(self, stock: Any) -> dict[str, Any]:
        """Return the shape of a stock model."""
        from lm_modules.export.stock_shapes import t5_shape

        return t5_shape(stock)

    def unfolded(self, stock: Mapping[str, Tensor], network: Any, model: ModelConfig) -> dict[str, Tensor]:
        """Return our weights."""
        from lm_modules.export.t5_unfolding import unfold_t5

        return unfold_t5(stock, network, model)

    def difference(self, network: nn.Module, stock: Any, vocab_size: int, lengths: list[int]) -> float:
        """Compare logits, the target a little shorter than the source."""
        from lm_modules.export.parity import answer_difference

        return answer_difference(network, stock, vocab_size, lengths)

    def same_tokens(self, network: Any, stock: Any, vocab_size: int, num_tokens: int, tolerance: float) -> int:
        """Compare greedy writing with the stock model's cache."""
        from lm_modules.export.parity import random_text, same_written_tokens

        source_BS = random_text(vocab_size, 1, num_tokens)
        return same_written_tokens(network, stock, source_BS, num_tokens, tolerance)


def _folded(network: Any, model: ModelConfig) -> dict[str, Tensor]:
    import torch

    from lm_modules.export.folding import scaled

    embedding_VD = scaled(network.embedding.weight.detach(), network.embedding.scale.forward)
    ones_D = torch.ones_like(embedding_VD[0])
    readout = network.readout_scale.forward / (network.embedding.scale.forward if model.tied_embeddings else 1.0)
    last = readout * math.sqrt(model.width) if model.tied_embeddings else 1.0
    weights = {
        "shared.weight": embedding_VD,
        "encoder.embed_tokens.weight": embedding_VD,
        "decoder.embed_tokens.weight": embedding_VD,
        "encoder.final_layer_norm.weight": ones_D,
        "decoder.final_layer_norm.weight": ones_D * last,
        "lm_head.weight": embedding_VD if network.readout is None else scaled(network.readout.weight.detach(), readout),
    }
    for stack in ("encoder", "decoder"):
        bias = getattr(network, f"{stack}_bias").weight.detach().clone()
        weights[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = bias
        for number, layer in enumerate(getattr(network, f"{stack}_layers")):
            parts: list[tuple[str, Any]] = [("SelfAttention", layer.attention)]
            if layer.cross_attention is not None:
                parts.append(("EncDecAttention", layer.cross_attention))
            for place, (name, attention) in enumerate(parts):
                weights |= _attention(f"{stack}.block.{number}.layer.{place}", name, attention)
            weights |= _feed_forward(f"{stack}.block.{number}.layer.{len(parts)}", layer.feed_forward)
            for place in range(len(parts) + 1):
                weights[f"{stack}.block.{number}.layer.{place}.layer_norm.weight"] = ones_D.clone()
    return weights


def _attention(place: str, name: str, attention: Any) -> dict[str, Tensor]:
    from lm_modules.export.folding import scaled

    folded = {}
    for matrix, stock_name in ATTENTION.items():
        weight = getattr(attention, matrix).weight.detach()
        folded[f"{place}.{name}.{stock_name}.weight"] = scaled(weight, factor_of(attention, matrix))
    return folded


def _feed_forward(place: str, feed_forward: Any) -> dict[str, Tensor]:
    from lm_modules.export.folding import scaled

    folded = {}
    for matrix, stock_name in FEED_FORWARD.items():
        weight = getattr(feed_forward, matrix).weight.detach()
        folded[f"{place}.DenseReluDense.{stock_name}.weight"] = scaled(weight, factor_of(feed_forward, matrix))
    return folded


def factor_of(part: Any, matrix: str) -> float:
    """Return what a matrix of an attention or feed-forward part is multiplied by to become the stock one."""
    own = {"query": "logits_scale", "gate": "gate_scale"}
    return getattr(part, matrix).scale.forward * (getattr(part, own[matrix]) if matrix in own else 1.0)
