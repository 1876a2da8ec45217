"""The decoder: token embedding, layers of attention and feed-forward, a last norm, and a readout.

    y = embedding(tokens)
    y = y + attention(norm(y)); y = y + feed_forward(norm(y))     for every layer
    logits = readout(norm(y))

It is built from parts; `build_decoder` makes them after a configuration and its table of scales.
"""

# B batch, L length, D width, V vocabulary

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from configs.model import ModelConfig
from lm_modules.model.attention import Attention
from lm_modules.model.feed_forward import FeedForward
from lm_modules.model.normalization import RMSNorm
from lm_modules.model.parametrization import MatrixScale, Scales
from lm_modules.model.rotary import Rotary
from lm_modules.model.scaled import ScaledEmbedding, ScaledLinear, compute_dtype, scaled_linear


class Layer(nn.Module):
    """Attention and feed-forward, each reading a normed copy of the residual stream and adding to it."""

    def __init__(
        self, *, attention_norm: nn.Module, attention: nn.Module, feed_forward_norm: nn.Module, feed_forward: nn.Module
    ) -> None:
        super().__init__()
        self.attention_norm, self.attention = attention_norm, attention
        self.feed_forward_norm, self.feed_forward = feed_forward_norm, feed_forward

    def forward(self, hidden_BLD: Tensor, cosine_LK: Tensor, sine_LK: Tensor) -> Tensor:
        """Return the stream after this layer, [batch, length, width]."""
        hidden_BLD = hidden_BLD + self.attention(self.attention_norm(hidden_BLD), cosine_LK, sine_LK)
        return hidden_BLD + self.feed_forward(self.feed_forward_norm(hidden_BLD))


class Decoder(nn.Module):
    """A causal language model; without a readout the embedding is read out with (tied)."""

    def __init__(
        self,
        *,
        embedding: ScaledEmbedding,
        rotary: Rotary,
        layers: Sequence[nn.Module],
        norm: nn.Module,
        readout: ScaledLinear | None,
        readout_scale: MatrixScale,
    ) -> None:
        super().__init__()
        self.embedding, self.rotary, self.layers, self.norm = embedding, rotary, nn.ModuleList(layers), norm
        self.readout, self.readout_scale = readout, readout_scale

    @property
    def readout_weight(self) -> Tensor:
        """The matrix that turns a hidden state into logits, [vocabulary, width]."""
        return self.embedding.weight if self.readout is None else self.readout.weight

    def hidden(self, tokens_BL: Tensor) -> Tensor:
        """Return the normed last hidden state, [batch, length, width]."""
        hidden_BLD = self.embedding(tokens_BL)
        cosine_LK, sine_LK = self.rotary(tokens_BL.shape[1], hidden_BLD.device, compute_dtype(hidden_BLD))
        for layer in self.layers:
            hidden_BLD = layer(hidden_BLD, cosine_LK, sine_LK)
        return self.norm(hidden_BLD)

    def forward(self, tokens_BL: Tensor) -> Tensor:
        """Return logits, [batch, length, vocabulary]."""
        return scaled_linear(self.hidden(tokens_BL), self.readout_weight, self.readout_scale)

    def compile_layers(self) -> None:
        """Compile each layer in place; equal layers share the compiled code."""
        for layer in self.layers:
            layer.compile()

    def initialize(self, scales: Scales, generator: torch.Generator) -> None:
        """Draw every weight anew; equal generators give equal weights."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.normal_(0.0, scales.matrices[matrix_of(name)].initial_std, generator=generator)


def matrix_of(parameter: str) -> str:
    """Return the key of a parameter in `Scales.matrices`: "layers.3.attention.query.weight" -> "query"."""
    return parameter.rsplit(".", 2)[-2]


def build_decoder(model: ModelConfig, vocab_size: int, scales: Scales) -> Decoder:
    """Return a decoder of this shape, its weights not yet drawn (see `Decoder.initialize`)."""
    embedding = ScaledEmbedding(vocab_size, model.width, scales.matrices["embedding"])
    readout_scale = scales.matrices["readout"]
    return Decoder(
        embedding=embedding,
        rotary=Rotary(model.head_width, model.rope_theta),
        layers=[_layer(model, scales) for _ in range(model.depth)],
        norm=RMSNorm(model.norm_epsilon),
        readout=None if model.tied_embeddings else ScaledLinear(model.width, vocab_size, readout_scale),
        readout_scale=readout_scale,
    )


def _layer(model: ModelConfig, scales: Scales) -> Layer:
    def linear(name: str, width_in: int, width_out: int, branch: float = 1.0) -> ScaledLinear:
        scale = scales.matrices[name]
        return ScaledLinear(width_in, width_out, replace(scale, forward=scale.forward * branch))

    width, query_width = model.width, model.heads * model.head_width
    key_width = model.num_key_value_heads * model.head_width
    attention = Attention(
        query=linear("query", width, query_width),
        key=linear("key", width, key_width),
        value=linear("value", width, key_width),
        output=linear("output", query_width, width, scales.attention_branch),
        head_width=model.head_width,
        logits_scale=scales.attention_logits,
        mix_scale=scales.attention_mix,
    )
    feed_forward = FeedForward(
        gate=linear("gate", width, model.feed_forward),
        up=linear("up", width, model.feed_forward),
        down=linear("down", model.feed_forward, width, scales.feed_forward_branch),
        gate_scale=scales.gate,
        gated_scale=scales.gated,
    )
    return Layer(
        attention_norm=RMSNorm(model.norm_epsilon),
        attention=attention,
        feed_forward_norm=RMSNorm(model.norm_epsilon),
        feed_forward=feed_forward,
    )
