"""Steps of a pretraining run that go wrong, counted from 1."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lm_modules.training.pretraining_module import PretrainingModule


def no_number_at(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Let the loss and the gradient of these steps be no numbers."""
    whole = PretrainingModule._gradient

    def broken(self: PretrainingModule, batch: Any) -> dict[str, Tensor]:
        parts = whole(self, batch)
        if self.step + 1 in steps:
            next(self.network.parameters()).grad.fill_(torch.nan)
            return {name: value * torch.nan for name, value in parts.items()}
        return parts

    monkeypatch.setattr(PretrainingModule, "_gradient", broken)


def weights_break_at(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Let a weight be no number after these steps, whose loss and gradient are numbers."""
    whole = PretrainingModule.training_step

    def breaking(self: PretrainingModule, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        found = whole(self, batch, batch_idx)
        if self.step in steps and found:
            next(self.network.parameters()).data.view(-1)[0] = torch.nan
        return found

    monkeypatch.setattr(PretrainingModule, "training_step", breaking)
