"""The gated feed-forward part, SwiGLU (Shazeer 2020, arXiv 2002.05202)."""

# B batch, L length, D width, F feed-forward width

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lm_modules.model.scaled import times


class FeedForward(nn.Module):
    """`down(up * silu(gate_scale * gate))`, position by position."""

    def __init__(self, *, gate: nn.Module, up: nn.Module, down: nn.Module, gate_scale: float) -> None:
        super().__init__()
        self.gate, self.up, self.down, self.gate_scale = gate, up, down, gate_scale

    def forward(self, hidden_BLD: Tensor) -> Tensor:
        """Return [batch, length, width]."""
        active_BLF = F.silu(times(self.gate(hidden_BLD), self.gate_scale))
        return self.down(active_BLF * self.up(hidden_BLD))
