"""The Transformer: token embedding, layers of attention and feed-forward, a last norm, and a readout.

    y = embedding(tokens)
    y = y + attention(norm(y)); y = y + feed_forward(norm(y))     for every layer
    logits = readout(norm(y))

A decoder reads backward only, an encoder both ways; nothing else differs. It is built from parts; `build_transformer`
makes them after a configuration and its table of scales (`modernbert` makes others).
"""

# B batch, L length, D width, V vocabulary

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor, nn

from configs.model import ModelConfig
from lm_modules.model.attention import Attention, Reading
from lm_modules.model.feed_forward import ACTIVATIONS, FeedForward
from lm_modules.model.normalization import RMSNorm
from lm_modules.model.parametrization import MatrixScale, Scales
from lm_modules.model.reach import Reach, reaches
from lm_modules.model.scaled import ScaledEmbedding, ScaledLinear, scaled_linear
from lm_modules.model.vocabulary_loss import CHUNK_ROWS, vocabulary_loss
from lm_modules.objectives import NOT_SCORED


class Layer(nn.Module):
    """Attention and feed-forward, each reading a normed copy of the residual stream and adding to it.

    In the decoder of an encoder-decoder a second attention stands between them and reads what the encoder made.
    """

    def __init__(
        self,
        *,
        attention_norm: nn.Module,
        attention: nn.Module,
        feed_forward_norm: nn.Module,
        feed_forward: nn.Module,
        cross_attention_norm: nn.Module | None = None,
        cross_attention: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.attention_norm, self.attention = attention_norm, attention
        self.cross_attention_norm, self.cross_attention = cross_attention_norm, cross_attention
        self.feed_forward_norm, self.feed_forward = feed_forward_norm, feed_forward

    def forward(
        self, hidden_BLD: Tensor, reading: Reading, memory_BSD: Tensor | None = None, across: Reading | None = None
    ) -> Tensor:
        """Return the stream after this layer, [batch, length, width]; `across` says how the memory is read."""
        hidden_BLD = hidden_BLD + self.attention(self.attention_norm(hidden_BLD), reading)
        if self.cross_attention is not None and self.cross_attention_norm is not None:
            normed_BLD = self.cross_attention_norm(hidden_BLD)
            hidden_BLD = hidden_BLD + self.cross_attention(normed_BLD, across, memory_BSD)
        return hidden_BLD + self.feed_forward(self.feed_forward_norm(hidden_BLD))


class Transformer(nn.Module):
    """A language model; without a readout the embedding is read out with (tied).

    An `embedding_norm` stands between the embedding and the layers, a `head` between the last norm and the readout.
    """

    def __init__(
        self,
        *,
        embedding: ScaledEmbedding,
        reaches: Sequence[Reach],
        layers: Sequence[nn.Module],
        norm: nn.Module,
        readout: ScaledLinear | None,
        scales: Scales,
        causal: bool,
        embedding_norm: nn.Module | None = None,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.embedding, self.embedding_norm = embedding, embedding_norm
        self.reaches, self.layers, self.norm = list(reaches), nn.ModuleList(layers), norm
        self.head, self.readout, self.scales, self.causal = head, readout, scales, causal
        self.loss_chunk_rows = CHUNK_ROWS

    @property
    def readout_weight(self) -> Tensor:
        """The matrix that turns a hidden state into logits, [vocabulary, width]."""
        return self.embedding.weight if self.readout is None else self.readout.weight

    @property
    def readout_scale(self) -> MatrixScale:
        """The constants of the readout."""
        return self.scales.matrices["readout"]

    def hidden(self, tokens_BL: Tensor, documents_BL: Tensor | None = None) -> Tensor:
        """Return the normed last hidden state, [batch, length, width].

        `documents_BL` numbers the documents (or the padding) in a row: positions read only those of equal number.
        Only distances between positions count, so a document is read as if it began the row.
        """
        hidden_BLD = self.embedding(tokens_BL)
        if self.embedding_norm is not None:
            hidden_BLD = self.embedding_norm(hidden_BLD).to(hidden_BLD.dtype)
        readings = {reach: reach.reading(hidden_BLD, documents_BL) for reach in dict.fromkeys(self.reaches)}
        for layer, reach in zip(self.layers, self.reaches, strict=True):
            hidden_BLD = layer(hidden_BLD, readings[reach])
        return self.norm(hidden_BLD)

    def before_readout(self, hidden_BLD: Tensor) -> Tensor:
        """Return what the readout (or another last matrix) reads: hidden states that went through the head."""
        return hidden_BLD if self.head is None else self.head(hidden_BLD)

    def logits(self, hidden_BLD: Tensor) -> Tensor:
        """Return logits of hidden states, [batch, length, vocabulary]."""
        return scaled_linear(self.before_readout(hidden_BLD), self.readout_weight, self.readout_scale)

    def forward(self, tokens_BL: Tensor, documents_BL: Tensor | None = None) -> Tensor:
        """Return logits, [batch, length, vocabulary]."""
        return self.logits(self.hidden(tokens_BL, documents_BL))

    def nats(self, tokens_BL: Tensor, labels_BL: Tensor, documents_BL: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy over labels that are not -100, in nats and at least float32."""
        return self.nats_of(self.hidden(tokens_BL, documents_BL), labels_BL)

    def nats_of(self, hidden_BLD: Tensor, labels_BL: Tensor) -> Tensor:
        """Return the same for hidden states that are known; an encoder, which scores few, reads out only those."""
        if self.causal:
            hidden_ND, labels_N = hidden_BLD.flatten(0, 1), labels_BL.flatten()
        else:
            scored_BL = labels_BL != NOT_SCORED
            hidden_ND, labels_N = hidden_BLD[scored_BL], labels_BL[scored_BL]
        hidden_ND = self.before_readout(hidden_ND)
        return vocabulary_loss(hidden_ND, self.readout_weight, labels_N, self.readout_scale, self.loss_chunk_rows)

    def compile_layers(self) -> None:
        """Compile each layer in place; equal layers share the compiled code."""
        for layer in self.layers:
            layer.compile()


def matrix_of(parameter: str) -> str:
    """Return the key of a parameter in `Scales.matrices`: "layers.3.attention.query.weight" -> "query"."""
    return parameter.rsplit(".", 2)[-2]


def build_transformer(model: ModelConfig, vocab_size: int, scales: Scales, *, causal: bool) -> Transformer:
    """Return a decoder (causal) or an encoder of this shape, its weights not yet drawn (see `scaled.initialize`)."""
    readout = None if model.tied_embeddings else ScaledLinear(model.width, vocab_size, scales.matrices["readout"])
    return Transformer(
        embedding=ScaledEmbedding(vocab_size, model.width, scales.matrices["embedding"]),
        reaches=reaches(model, causal=causal),
        layers=[build_layer(model, scales, local=model.is_local(number)) for number in range(model.depth)],
        norm=RMSNorm(model.norm_epsilon),
        readout=readout,
        scales=scales,
        causal=causal,
    )


def build_layer(
    model: ModelConfig,
    scales: Scales,
    across: Scales | None = None,
    *,
    local: bool = False,
    norm: Callable[[float], nn.Module] = RMSNorm,
) -> Layer:
    """Return a layer; with the constants `across` it has an attention to a memory, too."""
    return Layer(
        attention_norm=norm(model.norm_epsilon),
        attention=_attention(model, scales, scales.local_attention_mix if local else scales.attention_mix),
        cross_attention_norm=None if across is None else norm(model.norm_epsilon),
        cross_attention=None if across is None else _attention(model, across, across.attention_mix),
        feed_forward_norm=norm(model.norm_epsilon),
        feed_forward=FeedForward(
            gate=_linear(scales, "gate", model.width, model.feed_forward),
            up=_linear(scales, "up", model.width, model.feed_forward),
            down=_linear(
                scales,
                "down",
                model.feed_forward,
                model.width,
                after=scales.gated / scales.gate,
                branch=scales.feed_forward_branch,
            ),
            gate_scale=scales.gate,
            activation=ACTIVATIONS[model.activation],
        ),
    )


def _attention(model: ModelConfig, scales: Scales, mix_scale: float) -> Attention:
    query_width, key_width = model.heads * model.head_width, model.num_key_value_heads * model.head_width
    return Attention(
        query=_linear(scales, "query", model.width, query_width),
        key=_linear(scales, "key", model.width, key_width),
        value=_linear(scales, "value", model.width, key_width),
        output=_linear(scales, "output", query_width, model.width, after=mix_scale, branch=scales.attention_branch),
        head_width=model.head_width,
        logits_scale=scales.attention_logits,
        query_norm=RMSNorm(model.norm_epsilon) if model.query_key_norm else None,
        key_norm=RMSNorm(model.norm_epsilon) if model.query_key_norm else None,
    )


def _linear(
    scales: Scales, name: str, width_in: int, width_out: int, *, after: float = 1.0, branch: float = 1.0
) -> ScaledLinear:
    """Return a linear map with the constants of its name and of what stands before it and behind it.

    What stands before it multiplies forward and backward; the constant of a branch acts backward at its beginning.
    """
    scale = scales.matrices[name].after(after)
    return ScaledLinear(width_in, width_out, replace(scale, forward=scale.forward * branch))
