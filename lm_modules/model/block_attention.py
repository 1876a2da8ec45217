"""Attention that skips what may not be read, block by block (FlexAttention, Dong et al. 2024, arXiv 2412.05496).

A mask of documents or windows as a whole tensor has a number for every pair of positions, and the kernel that takes it
works through all of them. A block mask keeps a list of the blocks in which anything is read.
"""

# B batch, L length, S length that is read, H query heads, G key-value heads, K head width

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

MayRead = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Takes the numbers of row, head, reading position and read position."""


def has_block_kernel(device: torch.device, head_width: int) -> bool:
    """Return whether masks are better given block by block there; on a CPU torch has no backward pass for it."""
    return device.type == "cuda" and head_width >= 16


def block_mask(may_read: MayRead, batch: int | None, length: int, device: torch.device) -> BlockMask:
    """Return the blocks of [batch, any head, length, length] in which anything is read; no batch: alike in all rows."""
    # compiled on a GPU, it never makes the whole mask
    compiled = device.type == "cuda"
    return create_block_mask(may_read, batch, None, length, length, device=str(device), _compile=compiled)


def attend_in_blocks(
    query_BHLK: Tensor, key_BGSK: Tensor, value_BGSK: Tensor, blocks: BlockMask, scale: float
) -> Tensor:
    """Return the weighted means of the values, [batch, heads, length, head width]."""
    # inside a layer that is compiled itself the kernel is made with the layer
    alone = query_BHLK.device.type == "cuda" and not torch.compiler.is_compiling()
    attention: Any = _compiled() if alone else flex_attention
    shared = query_BHLK.shape[1] != key_BGSK.shape[1]
    return attention(query_BHLK, key_BGSK, value_BGSK, block_mask=blocks, scale=scale, enable_gqa=shared)


@cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(flex_attention)
