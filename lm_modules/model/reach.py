"""How far the layers of a kind read: everything, or a window; in one document or in all of a row.

    global layer, causal      local layer, causal      local layer, both ways     one rule says all three, and documents
    x . . . .                 x . . . .                x x . . .
    x x . . .                 x x . . .                x x x . .
    x x x . .                 x x x . .                . x x x .
    x x x x .                 . x x x .                . . x x x
    x x x x x                 . . x x x                . . . x x

Local layers follow Beltagy et al. 2020 (arXiv 2004.05150, section 3.1) and, mixed with global ones, ModernBERT (Warner
et al. 2024, arXiv 2412.13663, section 2.1).
"""

# B batch, L length, S length that is read, D width

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from configs.model import ModelConfig
from lm_modules.model.attention import Reading
from lm_modules.model.block_attention import block_mask, has_block_kernel
from lm_modules.model.rotary import Rotary
from lm_modules.model.scaled import compute_dtype


@dataclass(frozen=True)
class Reach:
    """What the layers of a kind have in common; layers of equal reach share a `Reading`."""

    rotary: Rotary
    causal: bool
    """A position reads those before it and itself."""
    distance: int | None = None
    """Positions farther away than this are not read."""

    def reading(self, hidden_BLD: Tensor, documents_BL: Tensor | None = None) -> Reading:
        """Return who may read whom in these rows, and the positions; documents (or padding) are told by number."""
        batch, length, _ = hidden_BLD.shape
        device = hidden_BLD.device
        rotation = self.rotary(length, device, compute_dtype(hidden_BLD))
        if documents_BL is None and self.distance is None:
            return Reading(causal=self.causal, rotation=rotation)

        def may_read(row: Tensor, head: Tensor, reader: Tensor, read: Tensor) -> Tensor:
            allowed = reader >= read if self.causal else reader >= 0
            if self.distance is not None:
                allowed = allowed & ((reader - read).abs() <= self.distance)
            if documents_BL is not None:
                allowed = allowed & (documents_BL[row, reader] == documents_BL[row, read])
            return allowed

        if has_block_kernel(device, self.rotary.head_width):
            blocks = block_mask(may_read, None if documents_BL is None else batch, length, device)
            return Reading(causal=self.causal, rotation=rotation, blocks=blocks)
        row_B = torch.arange(1 if documents_BL is None else batch, device=device)[:, None, None, None]
        position_L = torch.arange(length, device=device)
        allowed_BHLS = may_read(row_B, row_B, position_L[:, None], position_L[None, :])
        allowed_BHLS = allowed_BHLS.expand(len(row_B), 1, length, length)
        return Reading(causal=self.causal, rotation=rotation, allowed=allowed_BHLS)


def reaches(model: ModelConfig, *, causal: bool) -> list[Reach]:
    """Return the reach of every layer."""
    everything = Reach(Rotary(model.head_width, model.rope_theta), causal)
    if model.sliding_window is None:
        return [everything] * model.depth
    # of a decoder's window the token itself is one, an encoder's lies to both sides of it
    distance = model.sliding_window - 1 if causal else model.sliding_window // 2
    window = Reach(Rotary(model.head_width, model.local_rope_theta or model.rope_theta), causal, distance)
    return [window if model.is_local(layer) else everything for layer in range(model.depth)]
