"""AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) and Muon (Jordan et al. 2024), built from the table of scales.

Weights that learn alike share a group, so there are as many groups as different multipliers, not as tensors. A weight
that the table does not know is refused: a wrong multiplier would go unnoticed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from configs.optimization import OptimizationConfig
from lm_modules.model.parametrization import Scaling
from lm_modules.model.scaled import scales_of
from lm_modules.training.muon import Muon


def build_optimizers(network: nn.Module, config: OptimizationConfig) -> list[torch.optim.Optimizer]:
    """Return AdamW, or Muon for the hidden matrices and AdamW for the rest.

    PyTorch takes `lr * weight_decay` off a weight at each step. The decay of a group is divided by its peak learning
    rate, so that every weight loses `config.weight_decay` of itself at the peak of the schedule, whatever it learns at
    (independent decay, Wortsman et al. 2023, arXiv 2309.14322, section 3.4). What the table says does not decay keeps
    all of itself.
    """
    table = scales_of(network)
    adamw, muon = _Groups(config.weight_decay), _Groups(config.weight_decay)
    for name, parameter in network.named_parameters():
        scale = table[name]
        if config.optimizer == "muon" and scale.orthogonal_learning_rate is not None:
            learning_rate = (config.muon_learning_rate or config.learning_rate) * scale.orthogonal_learning_rate
            width_out, width_in = parameter.shape
            # Muon multiplies by sqrt(max(1, width out / width in)) on its own
            muon.add(parameter, learning_rate * math.sqrt(width_out / max(1.0, width_out / width_in)), scale.decays)
        else:
            adamw.add(parameter, config.learning_rate * scale.learning_rate, scale.decays)
    built: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(adamw.listed(), betas=config.betas, eps=config.epsilon, fused=True)
    ]
    if muon.listed():
        built.append(Muon(muon.listed(), momentum=config.muon_momentum))
    return built


class _Groups:
    """Parameters by the peak of their learning rate, and whether they decay."""

    def __init__(self, weight_decay: float) -> None:
        self._weight_decay = weight_decay
        self._parameters: dict[tuple[float, bool], list[nn.Parameter]] = {}

    def add(self, parameter: nn.Parameter, peak: float, decays: bool) -> None:
        self._parameters.setdefault((peak, decays), []).append(parameter)

    def listed(self) -> list[dict[str, Any]]:
        return [
            {"params": parameters, "lr": peak, "peak": peak, "weight_decay": decays * self._weight_decay / peak}
            for (peak, decays), parameters in self._parameters.items()
        ]


def set_learning_rate(optimizers: Sequence[torch.optim.Optimizer], fraction: float) -> None:
    """Give every group this part of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * fraction


def bring_state_to_weights(optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Put what the optimizers remember of each weight on the weight's device, as torch does with what it loads.

    Lightning moves the moments alone: the count of steps stays where it was read, and a fused AdamW needs it beside the
    weight.
    """
    for optimizer in optimizers:
        optimizer.load_state_dict(optimizer.state_dict())


def gradient_norm(weights: Sequence[Tensor], scaling: Scaling) -> Tensor:
    """Return the length of the whole gradient, in the parametrization's own unit."""
    gradients = [each.grad for each in weights if each.grad is not None]
    return torch.nn.utils.get_total_norm(gradients) / _unit(weights, scaling)


def clip_gradient(weights: Sequence[Tensor], norm: float, longest: float) -> None:
    """Shorten the gradient to `longest` where its length `norm` exceeds it; both in the parametrization's unit."""
    if norm > longest:
        for each in weights:
            if each.grad is not None:
                each.grad.mul_(longest / norm)


def _unit(weights: Sequence[Tensor], scaling: Scaling) -> float:
    if scaling.gradient_norm_unit == "one":
        return 1.0
    return math.sqrt(sum(each.numel() for each in weights))
