"""Linear maps and embeddings whose outputs and gradients are multiplied by constants (Blake et al. 2024, section 3).

The constants multiply the small weight instead of the large activations, so that unit scaling costs next to nothing;
with constants of 1 they are a plain linear map and a plain embedding.
"""

# B batch, L length, I width in, O width out, V vocabulary, D width

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lm_modules.model.parametrization import MatrixScale


class ScaledLinear(nn.Module):
    """`forward * input @ weight.T` with its own constants for the two gradients; no bias."""

    def __init__(self, width_in: int, width_out: int, scale: MatrixScale) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width_out, width_in))
        self.scale = scale

    def forward(self, input_BLI: Tensor) -> Tensor:
        """Return [batch, length, width_out], in the autocast dtype where autocast is on."""
        return scaled_linear(input_BLI, self.weight, self.scale)


class ScaledEmbedding(nn.Module):
    """Rows of the weight by token; the gradient of the weight is multiplied by a constant."""

    def __init__(self, vocab_size: int, width: int, scale: MatrixScale) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, width))
        self.scale = scale

    def forward(self, tokens_BL: Tensor) -> Tensor:
        """Return [batch, length, width]."""
        weight_VD = times(_ScaleGradient.apply(self.weight, self.scale.weight_gradient), self.scale.forward)
        return F.embedding(tokens_BL, weight_VD)


def scales_of(network: nn.Module) -> dict[str, MatrixScale]:
    """Return the constants of every weight by its name; a weight without any is refused, it would learn at a guess."""
    modules = dict(network.named_modules())
    table = _tables_of_stock_models(modules)
    for name, _ in network.named_parameters():
        if name in table:
            continue
        scale = getattr(modules[name.rpartition(".")[0]], "scale", None)
        if not isinstance(scale, MatrixScale):
            raise ValueError(f"the parametrization has no multiplier for {name}; build it with ScaledLinear")
        table[name] = scale
    return table


def _tables_of_stock_models(modules: dict[str, nn.Module]) -> dict[str, MatrixScale]:
    """Return the constants of the networks that know them themselves, because their parts come from elsewhere."""
    return {
        f"{prefix}.{name}" if prefix else name: scale
        for prefix, module in modules.items()
        if callable(tell := getattr(module, "scale_table", None))
        for name, scale in tell().items()
    }


def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight anew; equal generators give equal weights."""
    table = scales_of(network)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.normal_(0.0, table[name].initial_std, generator=generator)


def scaled_linear(input_BLI: Tensor, weight_OI: Tensor, scale: MatrixScale) -> Tensor:
    """Return the scaled product of the input and the transposed weight."""
    return _ScaledLinear.apply(input_BLI, weight_OI, scale.forward, scale.input_gradient, scale.weight_gradient)


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """Return the dtype in which matrix products of this tensor are computed: autocast's, or its own."""
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype


def times(tensor: Tensor, factor: float) -> Tensor:
    """Multiply, without a copy where the factor is 1."""
    return tensor if factor == 1.0 else tensor * factor


class _ScaledLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input_BLI: Tensor, weight_OI: Tensor, forward: float, input_gradient: float, weight_gradient: float
    ) -> Tensor:
        dtype = compute_dtype(input_BLI)
        input_BLI = input_BLI.to(dtype)
        ctx.save_for_backward(input_BLI, weight_OI)
        ctx.scales = input_gradient, weight_gradient
        return F.linear(input_BLI, times(weight_OI, forward).to(dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        input_BLI, weight_OI = ctx.saved_tensors
        input_gradient, weight_gradient = ctx.scales
        output_BLO = gradients[0].to(input_BLI.dtype)
        input = weight = None
        if ctx.needs_input_grad[0]:
            input = output_BLO @ times(weight_OI, input_gradient).to(output_BLO.dtype)
        if ctx.needs_input_grad[1]:
            product_OI = output_BLO.flatten(0, -2).T @ input_BLI.flatten(0, -2)
            weight = times(product_OI.to(weight_OI.dtype), weight_gradient)
        return input, weight, None, None, None


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return times(gradients[0], ctx.factor), None
