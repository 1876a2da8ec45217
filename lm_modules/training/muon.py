"""Muon: momentum whose matrix is made orthogonal before it is subtracted (Jordan et al. 2024).

Matrices of one shape are made orthogonal together, in one batched product: for small models that takes a fraction of
the time of `torch.optim.Muon`, which goes through them one by one. The results agree to rounding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic that drives singular values to about 1; of Jordan's post, as in `torch.optim.Muon`."""
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Groups have `lr`, `weight_decay` (taken as `lr * weight_decay`) and `momentum`; parameters are matrices."""

    def __init__(self, groups: list[dict[str, Any]], momentum: float = 0.95) -> None:
        super().__init__(groups, {"lr": 1e-3, "weight_decay": 0.0, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every weight by `lr` along its orthogonal momentum (Nesterov's)."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        updates: dict[tuple[torch.Size, torch.device], list[tuple[Tensor, Tensor, float]]] = defaultdict(list)
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                ahead = weight.grad.lerp(state["momentum"], group["momentum"])
                updates[weight.shape, weight.device].append((weight, ahead, group["lr"]))
        for alike in updates.values():
            orthogonal = orthogonalized(torch.stack([ahead for _, ahead, _ in alike]))
            for (weight, _, learning_rate), update in zip(alike, orthogonal, strict=True):
                weight.add_(update.to(weight.dtype), alpha=-learning_rate)
        return loss


def orthogonalized(matrices_NOI: Tensor) -> Tensor:
    """Return matrices with the same singular vectors and singular values of about 1 (0.7 to 1.2), in bfloat16."""
    a, b, c = COEFFICIENTS
    tall = matrices_NOI.shape[1] > matrices_NOI.shape[2]
    x = matrices_NOI.bfloat16()
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)  # no singular value is above 1
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x.mT if tall else x
