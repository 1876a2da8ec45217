"""Adapters: which of a model's weights fine-tuning may change, and how they are folded back."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from configs.component import Component

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class Adapter(Component):
    """Which weights are trained."""

    @abstractmethod
    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Return the module to train; what it leaves alone has `requires_grad` false."""

    def keep(self, model: nn.Module, directory: Path) -> None:
        """Save what was learned by itself, where it is apart from the model's own weights."""

    @abstractmethod
    def merge(self, model: nn.Module) -> PreTrainedModel:
        """Return the stock model with what was learned in its own weights."""
