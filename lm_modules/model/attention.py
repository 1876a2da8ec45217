"""Grouped-query attention (Ainslie et al. 2023, arXiv 2305.13245): over the text itself, or over what an encoder read.

What the attentions of one pass share (positions, who may read whom) is worked out once and handed to all: `Reading`.
"""

# B batch, L length, S length that is read, D width, H query heads, G key-value heads, K head width

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lm_modules.model import short_attention
from lm_modules.model.block_attention import attend_in_blocks
from lm_modules.model.rotary import rotate

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


@dataclass(frozen=True)
class Reading:
    """What all attentions of one kind share in one pass."""

    causal: bool = False
    """A position reads those before it and itself."""
    rotation: tuple[Tensor, Tensor] | None = None
    """Cosines and sines, each [length, head width]; None leaves queries and keys as they are."""
    allowed: Tensor | None = None
    """Booleans [batch, heads, length, length read], axes may be 1: true where a position may read another, causality
    included. None allows all."""
    bias: Tensor | None = None
    """Added to the attention logits; the same axes."""
    blocks: BlockMask | None = None
    """What `allowed` says, block by block, and in place of it."""

    def mask(self, length: int, dtype: torch.dtype) -> Tensor | None:
        """Return what scaled_dot_product_attention takes: booleans, or numbers where there is a bias."""
        allowed_BHLS = self.allowed
        if self.bias is None:
            return allowed_BHLS
        if allowed_BHLS is None and self.causal:
            allowed_BHLS = causal_mask(length, self.bias.device)
        if allowed_BHLS is None:
            return self.bias.to(dtype)
        return self.bias.to(dtype).masked_fill(~allowed_BHLS, float("-inf"))


def causal_mask(length: int, device: torch.device) -> Tensor:
    """Return booleans [length, length]: true where the column is not ahead of the row."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


class Attention(nn.Module):
    """Each position reads a weighted mean of the values that it may read.

    With `query_norm` and `key_norm` (Dehghani et al. 2023, arXiv 2302.05442, section 2) both are normed before they are
    turned.
    """

    def __init__(
        self,
        *,
        query: nn.Module,
        key: nn.Module,
        value: nn.Module,
        output: nn.Module,
        head_width: int,
        logits_scale: float,
        query_norm: nn.Module | None = None,
        key_norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = query, key, value, output
        self.query_norm, self.key_norm = query_norm, key_norm
        self.head_width, self.logits_scale = head_width, logits_scale

    def forward(self, hidden_BLD: Tensor, reading: Reading, memory_BSD: Tensor | None = None) -> Tensor:
        """Return [batch, length, width]; without a memory the text reads itself."""
        read_BSD = hidden_BLD if memory_BSD is None else memory_BSD
        query_BLHK = self._heads(self.query(hidden_BLD), self.query_norm)
        key_BSGK = self._heads(self.key(read_BSD), self.key_norm)
        value_BSGK = self._heads(self.value(read_BSD))
        if reading.rotation is not None:
            query_BLHK, key_BSGK = (rotate(each, *reading.rotation) for each in (query_BLHK, key_BSGK))
        query_BHLK, key_BGSK, value_BGSK = (each.transpose(1, 2) for each in (query_BLHK, key_BSGK, value_BSGK))
        mixed_BHLK = attend(query_BHLK, key_BGSK, value_BGSK, reading, self.logits_scale)
        return self.output(mixed_BHLK.transpose(1, 2).flatten(2))

    def _heads(self, vectors_BLD: Tensor, norm: nn.Module | None = None) -> Tensor:
        vectors_BLHK = vectors_BLD.unflatten(-1, (-1, self.head_width))
        return vectors_BLHK if norm is None else norm(vectors_BLHK)


def attend(query_BHLK: Tensor, key_BGSK: Tensor, value_BGSK: Tensor, reading: Reading, logits_scale: float) -> Tensor:
    """Return for each position the mean of the values, weighted by a softmax over what it may read."""
    if reading.blocks is not None:
        return attend_in_blocks(query_BHLK, key_BGSK, value_BGSK, reading.blocks, logits_scale)
    mask_BHLS = reading.mask(query_BHLK.shape[2], query_BHLK.dtype)
    causal = reading.causal and mask_BHLS is None
    if short_attention.serves(query_BHLK, key_BGSK):
        return short_attention.short_attention(query_BHLK, key_BGSK, value_BGSK, mask_BHLS, causal, logits_scale)
    return F.scaled_dot_product_attention(
        query_BHLK,
        key_BGSK,
        value_BGSK,
        attn_mask=mask_BHLS,
        is_causal=causal,
        scale=logits_scale,
        enable_gqa=query_BHLK.shape[1] != key_BGSK.shape[1],
    )
