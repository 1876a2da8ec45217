"""Causal grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245) with rotary positions."""

# B batch, L length, D width, H query heads, G key-value heads, K head width

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lm_modules.model.rotary import rotate
from lm_modules.model.scaled import times


class Attention(nn.Module):
    """Each position reads a weighted mean of the values before it and its own."""

    def __init__(
        self,
        *,
        query: nn.Module,
        key: nn.Module,
        value: nn.Module,
        output: nn.Module,
        head_width: int,
        logits_scale: float,
        mix_scale: float,
    ) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = query, key, value, output
        self.head_width, self.logits_scale, self.mix_scale = head_width, logits_scale, mix_scale

    def forward(self, hidden_BLD: Tensor, cosine_LK: Tensor, sine_LK: Tensor) -> Tensor:
        """Return [batch, length, width]."""
        query_BHLK = rotate(self._heads(self.query(hidden_BLD)), cosine_LK, sine_LK)
        key_BGLK = rotate(self._heads(self.key(hidden_BLD)), cosine_LK, sine_LK)
        value_BGLK = self._heads(self.value(hidden_BLD))
        mixed_BHLK = F.scaled_dot_product_attention(
            query_BHLK,
            key_BGLK,
            value_BGLK,
            is_causal=True,
            scale=self.logits_scale,
            enable_gqa=query_BHLK.shape[1] != key_BGLK.shape[1],
        )
        mixed_BLD = mixed_BHLK.transpose(1, 2).flatten(2)
        return self.output(times(mixed_BLD, self.mix_scale))

    def _heads(self, vectors_BLD: Tensor) -> Tensor:
        return vectors_BLD.unflatten(-1, (-1, self.head_width)).transpose(1, 2)
