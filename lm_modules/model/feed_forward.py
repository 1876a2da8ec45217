"""The gated feed-forward part, SwiGLU or GeGLU (Shazeer 2020, arXiv 2002.05202).

GELU is taken in its tanh form (Hendrycks & Gimpel 2016, arXiv 1606.08415, section 2), the one that stock T5 has.
"""

# B batch, L length, D width, F feed-forward width

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from lm_modules.model.scaled import times

Activation = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {"silu": F.silu, "gelu": partial(F.gelu, approximate="tanh")}


class FeedForward(nn.Module):
    """`down(up * activation(gate_scale * gate))`, position by position."""

    def __init__(
        self, *, gate: nn.Module, up: nn.Module, down: nn.Module, gate_scale: float, activation: Activation = F.silu
    ) -> None:
        super().__init__()
        self.gate, self.up, self.down = gate, up, down
        self.gate_scale, self.activation = gate_scale, activation

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """Return [batch, length, width]."""
        active_BLF = self.activation(times(self.gate(hidden_BLD), self.gate_scale))
        return self.down(active_BLF * self.up(hidden_BLD))
