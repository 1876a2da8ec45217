"""A generator that fills gaps, and a discriminator that tells which tokens were filled in."""

# B batch, L length, D width, N hidden tokens, V vocabulary

from __future__ import annotations

import torch
from torch import Tensor, nn

from lm_modules.model.scaled import ScaledLinear
from lm_modules.model.transformer import Transformer
from lm_modules.objectives import NOT_SCORED


class Detector(nn.Module):
    """Both are encoders; the discriminator is read out by one number a token."""

    def __init__(self, generator: Transformer, discriminator: Transformer, width: int) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        discriminator.readout = None  # it names no tokens; its readout is the answer below
        self.answer = ScaledLinear(width, 1, discriminator.scales.matrices["answer"])

    @torch.no_grad()
    def generate(self, hidden_BLD: Tensor, labels_BL: Tensor, text_BL: Tensor, chance_BL: Tensor) -> Tensor:
        """Return the text with its hidden tokens drawn anew, by the given numbers in [0, 1)."""
        hidden_BL = labels_BL != NOT_SCORED
        chunks = (each.split(self.generator.loss_chunk_rows) for each in (hidden_BLD[hidden_BL], chance_BL[hidden_BL]))
        generated_BL = text_BL.clone()
        generated_BL[hidden_BL] = torch.cat([self._drawn(*each) for each in zip(*chunks, strict=True)])
        return generated_BL

    def _drawn(self, hidden_ND: Tensor, chance_N: Tensor) -> Tensor:
        """Return a token for each hidden state."""
        logits_NV = self.generator.logits(hidden_ND)
        cumulative_NV = torch.softmax(logits_NV.float(), dim=-1).cumsum(dim=-1)
        drawn_N = torch.searchsorted(cumulative_NV, chance_N[:, None]).squeeze(1)
        return drawn_N.clamp(max=logits_NV.shape[-1] - 1)

    def forward(self, tokens_BL: Tensor, documents_BL: Tensor | None = None) -> Tensor:
        """Return [batch, length]: above zero where a token looks replaced; `documents_BL` tells text and padding."""
        hidden_BLD = self.discriminator.hidden(tokens_BL, documents_BL)
        return self.answer(self.discriminator.before_readout(hidden_BLD)).squeeze(-1)

    def compile_layers(self) -> None:
        """Compile the layers of both."""
        self.generator.compile_layers()
        self.discriminator.compile_layers()
