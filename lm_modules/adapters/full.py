"""Train every weight of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lm_modules.adapters import Adapter

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class Full(Adapter):
    """Train every weight: most able, and most memory (gradients and two moments for each weight)."""

    kind: Literal["full"] = "full"

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Return the model with every weight trainable."""
        return model.requires_grad_(True)

    def merge(self, model: nn.Module) -> PreTrainedModel:
        """Return the model as it is."""
        return model  # type: ignore[return-value]
