"""RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467, equation 4) and LayerNorm (Ba et al. 2016, arXiv 1607.06450).

Both come without gains. A gain in front of a linear map can be folded into that map, so none are trained; u-muP's
learning-rate transfer needs them away (Blake et al. 2024, section 3).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lm_modules.model.scaled import compute_dtype


class RMSNorm(nn.Module):
    """Divide by the root of the mean square over the last axis; computed in at least float32."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """Return [batch, length, width] in the dtype in which the next matrix product is computed."""
        return _RMSNorm.apply(hidden_BLD, self.epsilon).to(compute_dtype(hidden_BLD))


class LayerNorm(nn.Module):
    """Take the mean off and divide by the standard deviation; computed in at least float32."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """Return [batch, length, width] in the dtype in which the next matrix product is computed."""
        wide_BLD = hidden_BLD.float() if hidden_BLD.dtype in (torch.bfloat16, torch.float16) else hidden_BLD
        return F.layer_norm(wide_BLD, wide_BLD.shape[-1:], eps=self.epsilon).to(compute_dtype(hidden_BLD))


class _RMSNorm(torch.autograd.Function):
    """By hand it keeps one tensor for the backward pass and takes half the time of autograd's on a CPU."""

    @staticmethod
    def forward(ctx: Any, hidden_BLD: Tensor, epsilon: float) -> Tensor:
        ctx.dtype = hidden_BLD.dtype
        if hidden_BLD.dtype in (torch.bfloat16, torch.float16):
            hidden_BLD = hidden_BLD.float()
        inverse_BL1 = torch.rsqrt(hidden_BLD.square().mean(-1, keepdim=True) + epsilon)
        normed_BLD = hidden_BLD * inverse_BL1
        ctx.save_for_backward(normed_BLD, inverse_BL1)
        return normed_BLD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        normed_BLD, inverse_BL1 = ctx.saved_tensors
        gradient_BLD = gradients[0].to(normed_BLD.dtype)
        along_BL1 = (gradient_BLD * normed_BLD).mean(-1, keepdim=True)
        return ((gradient_BLD - normed_BLD * along_BL1) * inverse_BL1).to(ctx.dtype), None
