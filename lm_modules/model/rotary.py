"""Rotary positions (Su et al. 2021, arXiv 2104.09864), in the half-split layout of Hugging Face's Llama.

Dimension i turns together with dimension i + K/2, at the frequency theta^(-2i/K).
"""

# B batch, L length, H heads, K head width

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Rotary(nn.Module):
    """Turn queries and keys by their position, so that their product depends on the distance alone."""

    def __init__(self, head_width: int, theta: float) -> None:
        super().__init__()
        self.head_width, self.theta = head_width, theta

    def forward(self, length: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return cosines and sines for positions 0 to length - 1, both [length, head width], computed in float32."""
        exponent_K2 = torch.arange(0, self.head_width, 2, device=device).float() / self.head_width
        position_L = torch.arange(length, device=device).float()
        angle_LK = torch.outer(position_L, self.theta**-exponent_K2).repeat(1, 2)
        return angle_LK.cos().to(dtype), angle_LK.sin().to(dtype)


def rotate(vectors_BHLK: Tensor, cosine_LK: Tensor, sine_LK: Tensor) -> Tensor:
    """Return the vectors turned by the angles."""
    return _Rotate.apply(vectors_BHLK, cosine_LK, sine_LK)


class _Rotate(torch.autograd.Function):
    """By hand it passes over the memory a third as often as autograd's: turning back is turning by the negative."""

    @staticmethod
    def forward(ctx: Any, vectors_BHLK: Tensor, cosine_LK: Tensor, sine_LK: Tensor) -> Tensor:
        ctx.save_for_backward(cosine_LK, sine_LK)
        return _turned(vectors_BHLK, cosine_LK, sine_LK, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        cosine_LK, sine_LK = ctx.saved_tensors
        return _turned(gradients[0], cosine_LK, sine_LK, -1), None, None


def _turned(vectors_BHLK: Tensor, cosine_LK: Tensor, sine_LK: Tensor, direction: int) -> Tensor:
    half = vectors_BHLK.shape[-1] // 2
    turned_BHLK = vectors_BHLK * cosine_LK
    turned_BHLK[..., :half].addcmul_(vectors_BHLK[..., half:], sine_LK[:, :half], value=-direction)
    turned_BHLK[..., half:].addcmul_(vectors_BHLK[..., :half], sine_LK[:, half:], value=direction)
    return turned_BHLK
