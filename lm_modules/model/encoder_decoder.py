"""The encoder-decoder: an encoder reads a source both ways, a decoder writes a target and reads the source beside it.

Positions are relative biases, as in T5 (Raffel et al. 2020, arXiv 1910.10683, section 2.1); one embedding serves both.
"""

# B batch, S source length, L target length, D width, V vocabulary

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from configs.model import ModelConfig
from lm_modules.model.attention import Reading
from lm_modules.model.normalization import RMSNorm
from lm_modules.model.parametrization import MatrixScale, Scales
from lm_modules.model.position_bias import PositionBias
from lm_modules.model.scaled import ScaledEmbedding, ScaledLinear, scaled_linear
from lm_modules.model.transformer import build_layer
from lm_modules.model.vocabulary_loss import CHUNK_ROWS, vocabulary_loss


class EncoderDecoder(nn.Module):
    """A sequence-to-sequence model; without a readout the embedding is read out with (tied)."""

    def __init__(
        self,
        *,
        embedding: ScaledEmbedding,
        encoder_bias: PositionBias,
        encoder_layers: Sequence[nn.Module],
        encoder_norm: nn.Module,
        decoder_bias: PositionBias,
        decoder_layers: Sequence[nn.Module],
        decoder_norm: nn.Module,
        readout: ScaledLinear | None,
        encoder_scales: Scales,
        decoder_scales: Scales,
    ) -> None:
        super().__init__()
        self.embedding, self.readout = embedding, readout
        self.encoder_bias, self.encoder_norm = encoder_bias, encoder_norm
        self.decoder_bias, self.decoder_norm = decoder_bias, decoder_norm
        self.encoder_layers, self.decoder_layers = nn.ModuleList(encoder_layers), nn.ModuleList(decoder_layers)
        self.encoder_scales, self.scales = encoder_scales, decoder_scales
        self.loss_chunk_rows = CHUNK_ROWS

    @property
    def readout_weight(self) -> Tensor:
        """The matrix that turns a hidden state into logits, [vocabulary, width]."""
        return self.embedding.weight if self.readout is None else self.readout.weight

    @property
    def readout_scale(self) -> MatrixScale:
        """The constants of the readout."""
        return self.scales.matrices["readout"]

    def encode(self, source_BS: Tensor) -> Tensor:
        """Return what the encoder makes of the source, [batch, source length, width]."""
        hidden_BSD = self.embedding(source_BS)
        reading = Reading(bias=self.encoder_bias(source_BS.shape[1]))
        for layer in self.encoder_layers:
            hidden_BSD = layer(hidden_BSD, reading)
        return self.encoder_norm(hidden_BSD)

    def hidden(self, source_BS: Tensor, target_BL: Tensor) -> Tensor:
        """Return the decoder's normed last hidden state over the target, [batch, target length, width]."""
        memory_BSD = self.encode(source_BS)
        hidden_BLD = self.embedding(target_BL)
        reading = Reading(causal=True, bias=self.decoder_bias(target_BL.shape[1]))
        for layer in self.decoder_layers:
            hidden_BLD = layer(hidden_BLD, reading, memory_BSD, Reading())
        return self.decoder_norm(hidden_BLD)

    def forward(self, source_BS: Tensor, target_BL: Tensor) -> Tensor:
        """Return logits, [batch, target length, vocabulary]."""
        return scaled_linear(self.hidden(source_BS, target_BL), self.readout_weight, self.readout_scale)

    def nats(self, source_BS: Tensor, target_BL: Tensor, labels_BL: Tensor) -> Tensor:
        """Return the mean cross-entropy over labels that are not -100, in nats and at least float32."""
        hidden_ND = self.hidden(source_BS, target_BL).flatten(0, 1)
        labels_N = labels_BL.flatten()
        return vocabulary_loss(hidden_ND, self.readout_weight, labels_N, self.readout_scale, self.loss_chunk_rows)

    def compile_layers(self) -> None:
        """Compile each layer in place; equal layers share the compiled code."""
        for layer in (*self.encoder_layers, *self.decoder_layers):
            layer.compile()


def build_encoder_decoder(model: ModelConfig, vocab_size: int, both_ways: Scales, causal: Scales) -> EncoderDecoder:
    """Return a model whose two stacks have this shape each, its weights not yet drawn.

    The scales are those of attention that reads both ways (encoder, and from decoder to encoder) and backward.
    """
    readout = None if model.tied_embeddings else ScaledLinear(model.width, vocab_size, causal.matrices["readout"])
    bias_scale = causal.matrices["position_bias"]
    return EncoderDecoder(
        embedding=ScaledEmbedding(vocab_size, model.width, causal.matrices["embedding"]),
        encoder_bias=PositionBias(model.heads, bias_scale, both_ways=True),
        encoder_layers=[build_layer(model, both_ways) for _ in range(model.depth)],
        encoder_norm=RMSNorm(model.norm_epsilon),
        decoder_bias=PositionBias(model.heads, bias_scale, both_ways=False),
        decoder_layers=[build_layer(model, causal, across=both_ways) for _ in range(model.depth)],
        decoder_norm=RMSNorm(model.norm_epsilon),
        readout=readout,
        encoder_scales=both_ways,
        decoder_scales=causal,
    )
