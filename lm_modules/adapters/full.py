"""Train the model's own weights, all or those above some blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from lm_modules.adapters import Adapter

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class Full(Adapter):
    """Train every weight: most able, and most memory (gradients and two moments for each weight)."""

    kind: Literal["full"] = "full"
    frozen_blocks: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    """So many blocks from the bottom stay as they are, and with them the embedding; all trains what follows them (the
    final norm or pooler, and the head)."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Return the model with its weights trainable, but for those of the frozen blocks and of what is below them."""
        from lm_modules.training.layers import blocks, depth_of_parameters

        model.requires_grad_(True)
        if self.frozen_blocks == 0:
            return model
        num_blocks = len(blocks(model))
        frozen = num_blocks if self.frozen_blocks == "all" else self.frozen_blocks
        if frozen > num_blocks:
            raise ValueError(f"frozen_blocks {frozen} is more than the {num_blocks} that the model has; lower it")
        depths = depth_of_parameters(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(depths[name] > frozen)
        return model

    def merge(self, model: nn.Module) -> PreTrainedModel:
        """Return the model as it is."""
        return model  # type: ignore[return-value]
