"""Attention over short texts on a CPU in bfloat16, its backward pass by plain matrix products.

The backward pass of torch's own attention is slow there: in `benchmarks/short_attention.py` (one core with AMX, torch
2.13, causal) it took 26 ms at length 128 where this took 9, at 256 60 and 34, at 512 72 and 50; at 1,024 both took the
same. The weights of the attention are computed anew in bfloat16, a few rows and a block of positions at a time, so that
they stay in the cache. Gradients are off by 0.4 % with attention logits of standard deviation 1,
as torch's are, and by 2 % with 8, where torch's are off by 0.5 %. That of a position bias, which all rows share, is
summed in float32.
"""

# B batch, L length, S length that is read, H query heads, G key-value heads, K head width

from __future__ import annotations

from typing import Any, overload

import torch
import torch.nn.functional as F
from torch import Tensor

LONGEST = 512
NUMBERS_AT_ONCE = 2**19
"""Attention weights that are worked on at once."""
SMALLEST_BLOCK, LARGEST_BLOCK = 64, 256
"""Positions of a causal text that are worked on at once: such a block leaves out what lies ahead of it."""


def serves(query_BHLK: Tensor, key_BGSK: Tensor) -> bool:
    """Return whether this is the faster way."""
    on_cpu = query_BHLK.device.type == "cpu" and query_BHLK.dtype == torch.bfloat16
    return on_cpu and key_BGSK.shape[2] <= LONGEST and torch.is_grad_enabled()


def short_attention(
    query_BHLK: Tensor, key_BGSK: Tensor, value_BGSK: Tensor, mask_BHLS: Tensor | None, causal: bool, scale: float
) -> Tensor:
    """Return what `scaled_dot_product_attention` returns."""
    return _ShortAttention.apply(query_BHLK, key_BGSK, value_BGSK, mask_BHLS, causal, scale)


class _ShortAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float
    ) -> Tensor:
        ctx.save_for_backward(query, key, value, mask)
        ctx.causal, ctx.scale = causal, scale
        grouped = query.shape[1] != key.shape[1]
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal, scale=scale, enable_gqa=grouped
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask = ctx.saved_tensors
        result = _backward(gradients[0], query, key, value, mask, ctx.causal, ctx.scale, ctx.needs_input_grad[3])
        return *result[:3], result[3] if ctx.needs_input_grad[3] else None, None, None


# one opaque operation for torch.compile, which would unroll the loop
@torch.library.custom_op("rootstock::short_attention_backward", mutates_args=())
def _backward(
    output_BHLK: Tensor,
    query_BHLK: Tensor,
    key_BGSK: Tensor,
    value_BGSK: Tensor,
    mask_BHLS: Tensor | None,
    causal: bool,
    scale: float,
    mask_learns: bool,
) -> list[Tensor]:
    """Return the gradients of query, key, value and (or an empty tensor) mask."""
    heads, length = query_BHLK.shape[1:3]
    groups, read = key_BGSK.shape[1:3]
    bias = _bias(mask_BHLS, query_BHLK)
    blind = _blind(bias)
    answer = _empty(query_BHLK, key_BGSK, value_BGSK, mask_BHLS, mask_learns)
    learnt = answer[3].new_zeros(answer[3].shape, dtype=torch.float32)  # a sum over rows, which bfloat16 would round
    size = min(max(length // 2, SMALLEST_BLOCK), LARGEST_BLOCK, length) if causal else length
    ahead = _bias(torch.ones(size, size, dtype=torch.bool, device=query_BHLK.device).tril(), query_BHLK)
    rows = max(1, NUMBERS_AT_ONCE // (heads * size * read))
    for start in range(0, len(query_BHLK), rows):
        some = slice(start, start + rows)
        sums: list[Tensor] = []
        for begin in reversed(range(0, length, size)):  # the last block reads all, so it is the first to be written
            block, seen = slice(begin, begin + size), slice(begin + size if causal else read)
            query, output = (each[some, :, block].flatten(0, 1) for each in (query_BHLK, output_BHLK))
            key, value = (_of_heads(each[some, :, seen], heads) for each in (key_BGSK, value_BGSK))
            query = query * scale
            logits = torch.bmm(query, key.transpose(1, 2))
            if causal:
                own = logits[:, :, begin:]
                own += ahead[: own.shape[1], : own.shape[2]]
            elif bias is not None:
                logits.unflatten(0, (-1, heads)).add_(_of(bias, some))
            weights = torch.softmax(logits, dim=-1)
            if blind is not None:
                weights.unflatten(0, (-1, heads)).masked_fill_(_of(blind, some), 0)
            by_weight = torch.bmm(output, value.transpose(1, 2))
            by_logit = torch.ops.aten._softmax_backward_data(by_weight, weights, -1, weights.dtype)
            by_query = torch.bmm(by_logit, key).mul_(scale)
            answer[0][some, :, block] = by_query.unflatten(0, (-1, heads))
            parts = [torch.bmm(by_logit.transpose(1, 2), query), torch.bmm(weights.transpose(1, 2), output)]
            for whole, part in zip(sums, parts, strict=False):
                whole[:, seen] += part
            sums = sums or parts
            if mask_learns:
                target = _of(learnt, some)
                target += by_logit.unflatten(0, (-1, heads)).float().sum_to_size(target.shape)
        for place, each in enumerate(sums, 1):
            shares = each.unflatten(0, (-1, groups, heads // groups))
            answer[place][some] = shares.sum(2) if heads != groups else shares[:, :, 0]
    return [*answer[:3], learnt.to(answer[3].dtype)]


@_backward.register_fake
def _shapes(
    output_BHLK: Tensor,
    query_BHLK: Tensor,
    key_BGSK: Tensor,
    value_BGSK: Tensor,
    mask_BHLS: Tensor | None,
    causal: bool,
    scale: float,
    mask_learns: bool,
) -> list[Tensor]:
    return _empty(query_BHLK, key_BGSK, value_BGSK, mask_BHLS, mask_learns)


def _empty(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, mask_learns: bool) -> list[Tensor]:
    """Return room for the gradients; the heads of a position lie side by side, as linear maps want them."""
    tensors = [torch.empty_like(each.transpose(1, 2)).contiguous().transpose(1, 2) for each in (query, key, value)]
    learnt = torch.empty_like(mask) if mask is not None and mask_learns else query.new_empty(0)
    return [*tensors, learnt]


def _of_heads(vectors_BGSK: Tensor, heads: int) -> Tensor:
    """Return [batch * heads, length, head width] side by side in memory, those of a group repeated for its heads."""
    groups = vectors_BGSK.shape[1]
    repeated = vectors_BGSK if groups == heads else vectors_BGSK.repeat_interleave(heads // groups, dim=1)
    return repeated.flatten(0, 1)


def _of(mask: Tensor, rows: slice) -> Tensor:
    """Return what of a mask is for these rows; one that is the same for all rows is so for some."""
    return mask[rows] if mask.dim() == 4 and len(mask) > 1 else mask


def _blind(bias: Tensor | None) -> Tensor | None:
    """Return where a position may read nothing, which a softmax makes NaN; None if there is no such position."""
    if bias is None:
        return None
    blind = (bias == float("-inf")).all(dim=-1, keepdim=True)
    return blind if bool(blind.any()) else None


@overload
def _bias(mask: Tensor, like: Tensor) -> Tensor: ...


@overload
def _bias(mask: None, like: Tensor) -> None: ...


def _bias(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """Return numbers to add to the logits: minus infinity where nothing may be read."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill_(~mask, float("-inf"))
