"""AdamW built from the parametrization's table (Loshchilov & Hutter 2019, arXiv 1711.05101).

Weights that learn alike share a group, so there are as many groups as different multipliers, not as tensors. A weight
that the table does not know is refused: a wrong multiplier would go unnoticed.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from configs.optimization import OptimizationConfig
from lm_modules.model.parametrization import Scales
from lm_modules.model.transformer import matrix_of


def build_adamw(network: nn.Module, config: OptimizationConfig, scales: Scales) -> torch.optim.AdamW:
    """Return AdamW with one group a learning-rate multiplier.

    PyTorch takes `lr * weight_decay` off a weight at each step. The decay of a group is divided by its peak learning
    rate, so that every weight loses `config.weight_decay` of itself at the peak of the schedule, whatever it learns at
    (independent decay, Wortsman et al. 2023, arXiv 2309.14322, section 3.4).
    """
    weights: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if matrix_of(name) not in scales.matrices:
            known = ", ".join(scales.matrices)
            raise ValueError(f"the parametrization has no multiplier for {name}; it knows: {known}")
        weights.setdefault(scales.matrices[matrix_of(name)].learning_rate, []).append(parameter)
    groups: list[dict[str, Any]] = []
    for multiplier, parameters in weights.items():
        peak = config.learning_rate * multiplier
        groups.append(
            {"params": parameters, "lr": peak, "peak": peak, "weight_decay": config.weight_decay / peak},
        )
    return torch.optim.AdamW(groups, betas=config.betas, eps=config.epsilon, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, fraction: float) -> None:
    """Give every group this part of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * fraction


def gradient_norm(network: nn.Module, scales: Scales) -> Tensor:
    """Return the length of the whole gradient, in the parametrization's own unit."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients) / _unit(network, scales)


def clip_gradient(network: nn.Module, norm: Tensor, longest: float) -> None:
    """Shorten the gradient to `longest` where its length `norm` exceeds it; both in the parametrization's unit."""
    factor = (longest / norm.clamp(min=longest)).item()
    if factor < 1:
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(factor)


def _unit(network: nn.Module, scales: Scales) -> float:
    if scales.gradient_norm_unit == "one":
        return 1.0
    return math.sqrt(sum(parameter.numel() for parameter in network.parameters()))
