"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/), many matrices in one product."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

LARGEST_STACK = 2**24
"""Numbers that are orthogonalized at once; larger matrices go one by one, so that no copy of all is in memory."""

Matrix = tuple[Tensor, Tensor, dict[str, Any]]
"""A weight, its momentum and its group."""


HONOURED = {"params", "lr", "weight_decay", "momentum"}
"""What a group may set; the rest is as PyTorch has it by default."""


class Muon(torch.optim.Muon):
    """`torch.optim.Muon` with its state; matrices of one shape go through Newton-Schulz together.

    One by one, the small matrices of a narrow model keep neither a CPU's cores nor a GPU busy. Momentum is Nesterov's,
    the rate is multiplied by sqrt(max(1, rows / columns)), and Newton-Schulz has PyTorch's coefficients and iterations.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, momentum=momentum)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refuse what would be ignored: settings of PyTorch's own that steps of many matrices do not heed."""
        ignored = sorted(name for name in self.defaults.keys() & param_group.keys() if name not in HONOURED)
        if any(param_group[name] != self.defaults[name] for name in ignored):
            raise ValueError(f"Muon takes no {', '.join(ignored)} of a group; leave it out, or use torch.optim.Muon")
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        shapes: dict[tuple[int, ...], list[Matrix]] = {}
        for group in self.param_groups:
            for weight, momentum in self._decayed(group):
                shapes.setdefault(tuple(sorted(weight.shape)), []).append((weight, momentum, group))
        settings = self.defaults["ns_coefficients"], self.defaults["ns_steps"], self.defaults["eps"]
        for matrices in shapes.values():
            for stack in _stacks(matrices):
                _move(stack, orthogonalized(torch.stack([_sought(*each) for each in stack]), *settings))
        return loss

    def _decayed(self, group: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
        """Decay the weights that have a gradient, add it to their momentum, and give both."""
        weights = [each for each in group["params"] if each.grad is not None]
        gradients = [each.grad for each in weights if each.grad is not None]
        momenta = [_momentum(self.state[each], each) for each in weights]
        if weights:
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        return zip(weights, momenta, strict=True)


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


def _sought(weight: Tensor, momentum: Tensor, group: dict[str, Any]) -> Tensor:
    """Return the direction that is sought (Nesterov's), as a wide matrix."""
    assert weight.grad is not None
    direction = weight.grad.lerp(momentum, group["momentum"])
    return direction.mT if direction.shape[0] > direction.shape[1] else direction


def _move(stack: list[Matrix], directions: Tensor) -> None:
    for (weight, _, group), direction in zip(stack, directions, strict=True):
        width_out, width_in = weight.shape
        rate = group["lr"] * max(1.0, width_out / width_in) ** 0.5
        weight.add_(direction.mT if width_out > width_in else direction, alpha=-rate)
