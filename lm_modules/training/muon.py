"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/), many matrices in one product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

LARGEST_STACK = 2**24
"""Numbers that are orthogonalized at once, so that large matrices go one by one and cost no more memory than before."""

Matrix = tuple[Tensor, Tensor, float]
"""A weight, the direction sought for it, and the learning rate of its group."""


class Muon(torch.optim.Muon):
    """`torch.optim.Muon` with its settings and state; matrices of one shape go through Newton-Schulz together.

    One by one, the small matrices of a narrow model keep neither a CPU's cores nor a GPU busy.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        shapes: dict[tuple[int, ...], list[Matrix]] = {}
        for group in self.param_groups:
            weights = [each for each in group["params"] if each.grad is not None]
            for weight, sought in zip(weights, self._sought(weights, group), strict=True):
                shapes.setdefault(tuple(sorted(sought.shape)), []).append((weight, sought, group["lr"]))
        settings = self.defaults["ns_coefficients"], self.defaults["ns_steps"], self.defaults["eps"]
        for matrices in shapes.values():
            for stack in _stacks(matrices):
                _move(stack, orthogonalized(torch.stack([_wide(sought) for _, sought, _ in stack]), *settings))
        return loss

    def _sought(self, weights: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        """Decay the weights, add their gradients to the momentum, and return the directions (Nesterov's) sought."""
        if not weights:
            return []
        gradients = [each.grad for each in weights if each.grad is not None]
        momenta = [_momentum(self.state[each], each) for each in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        return list(torch._foreach_lerp(gradients, momenta, group["momentum"]))


def orthogonalized(
    directions: Tensor, coefficients: tuple[float, float, float], num_iterations: int, epsilon: float
) -> Tensor:
    """Return [matrices, short, long] with all singular values near 1, in bfloat16, by Newton-Schulz iteration."""
    a, b, c = coefficients
    x = directions.bfloat16()
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=epsilon)
    for _ in range(num_iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _momentum(state: dict[str, Any], weight: Tensor) -> Tensor:
    if "momentum_buffer" not in state:
        state["momentum_buffer"] = torch.zeros_like(weight)
    momentum: Tensor = state["momentum_buffer"]
    return momentum


def _stacks(matrices: list[Matrix]) -> Iterator[list[Matrix]]:
    number = max(1, LARGEST_STACK // matrices[0][0].numel())
    for start in range(0, len(matrices), number):
        yield matrices[start : start + number]


def _wide(matrix: Tensor) -> Tensor:
    return matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix


def _move(stack: list[Matrix], directions: Tensor) -> None:
    for (weight, _, learning_rate), direction in zip(stack, directions, strict=True):
        width_out, width_in = weight.shape
        rate = learning_rate * max(1.0, width_out / width_in) ** 0.5
        weight.add_(direction.mT if width_out > width_in else direction, alpha=-rate)
