"""Whether a stock model computes what our training graph computes."""

# B rows, L length, V vocabulary

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def logit_difference(ours: nn.Module, stock: Any, vocab_size: int, lengths: Sequence[int]) -> float:
    """Return the largest absolute difference of logits over random texts of these lengths; NaN if a logit is NaN."""
    generator = torch.Generator().manual_seed(0)
    largest = torch.zeros(())
    with torch.no_grad():
        for length in lengths:
            tokens_BL = torch.randint(0, vocab_size, (2, length), generator=generator)
            difference_BLV = ours(tokens_BL) - stock(input_ids=tokens_BL).logits
            largest = torch.maximum(largest, difference_BLV.abs().max().to(largest.dtype))  # hands a NaN on
    return largest.item()


def same_greedy_tokens(ours: nn.Module, stock: Any, prompt_L: Tensor, num_tokens: int, tolerance: float) -> int:
    """Return how many tokens, from the first on, the stock model's cached greedy decoding has in common with ours.

    A token counts as ours if our logit for it is the largest, or within twice `tolerance` of it: where two logits tie,
    rounding decides.
    """
    with torch.no_grad():
        chosen, cache, step = [], None, prompt_L[None]
        for _ in range(num_tokens):
            answer = stock(input_ids=step, past_key_values=cache, use_cache=True)
            cache, step = answer.past_key_values, answer.logits[:, -1:].argmax(-1)
            chosen.append(step)
        chosen_N = torch.cat(chosen, dim=1)[0]
        text_L = torch.cat((prompt_L, chosen_N))[:-1]
        logits_NV = ours(text_L[None])[0, len(prompt_L) - 1 :]
    own_N = logits_NV.gather(1, chosen_N[:, None])[:, 0]
    same = (logits_NV.max(dim=-1).values - own_N <= 2 * tolerance).tolist()
    return same.index(False) if False in same else num_tokens
