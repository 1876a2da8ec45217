"""The encoder in the shape of ModernBERT (Warner et al. 2024, arXiv 2412.13663, section 2.1).

Against our own encoder: LayerNorm in place of RMSNorm, a norm behind the embedding, therefore none before the first
attention, and before the readout one more matrix with GELU and a norm. Its layers are ours.
"""

# B batch, L length, D width

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from configs.model import ModelConfig
from lm_modules.model.normalization import LayerNorm
from lm_modules.model.parametrization import Scales
from lm_modules.model.reach import reaches
from lm_modules.model.scaled import ScaledEmbedding, ScaledLinear
from lm_modules.model.transformer import Transformer, build_layer


class ReadoutHead(nn.Module):
    """`norm(gelu(transform(hidden)))`; the norm behind it sets the scale, so that GELU needs none."""

    def __init__(self, *, transform: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.transform, self.norm = transform, norm

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """Return [batch, length, width]."""
        return self.norm(F.gelu(self.transform(hidden_BLD)))


def build_modernbert(model: ModelConfig, vocab_size: int, scales: Scales) -> Transformer:
    """Return an encoder of this shape, its weights not yet drawn."""
    layers = [build_layer(model, scales, local=model.is_local(number), norm=LayerNorm) for number in range(model.depth)]
    layers[0].attention_norm = nn.Identity()
    return Transformer(
        embedding=ScaledEmbedding(vocab_size, model.width, scales.matrices["embedding"]),
        embedding_norm=LayerNorm(model.norm_epsilon),
        reaches=reaches(model, causal=False),
        layers=layers,
        norm=LayerNorm(model.norm_epsilon),
        head=ReadoutHead(
            transform=ScaledLinear(model.width, model.width, scales.matrices["transform"]),
            norm=LayerNorm(model.norm_epsilon),
        ),
        readout=None if model.tied_embeddings else ScaledLinear(model.width, vocab_size, scales.matrices["readout"]),
        scales=scales,
        causal=False,
    )
