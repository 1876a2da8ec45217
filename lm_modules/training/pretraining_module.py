"""One LightningModule for every objective: a training step is one optimizer step, however its batch is cut."""

# B rows, L row length

from __future__ import annotations

import math
from collections import deque
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from configs.optimization import OptimizationConfig
from lm_modules.data.batches import Batches, derived_seed
from lm_modules.model.parametrization import Scales
from lm_modules.objectives import NOT_SCORED, Batch, Objective, Vocabulary
from lm_modules.training.callbacks.reporting import Clock
from lm_modules.training.optimizers import build_adamw, clip_gradient, gradient_norm, set_learning_rate
from lm_modules.training.schedules import schedule

RECENT_STEPS = 50
"""The training loss that a run ends with is the mean over this many last steps."""


class Diverged(ValueError):  # noqa: N818 (says what happened)
    """The loss or the gradient is no number any more; the same settings would lead there again."""


class PretrainingModule(LightningModule):
    """Trains a network on an objective; `step` counts the optimizer steps done since the run began."""

    def __init__(
        self,
        *,
        network: nn.Module,
        objective: Objective,
        vocabulary: Vocabulary,
        scales: Scales,
        optimization: OptimizationConfig,
        steps: int,
        key: int,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.objective, self.vocabulary, self.scales = network, objective, vocabulary, scales
        self.optimization, self.steps, self.key = optimization, steps, key
        self.optimizer = build_adamw(network, optimization, scales)
        self.step = 0
        self.tokens_seen = 0
        self.clock = Clock()
        self.recent_losses: deque[float] = deque(maxlen=RECENT_STEPS)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer, which exists from the beginning so that its state can be restored."""
        return self.optimizer

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step, before the multipliers of the table."""
        last = max(self.step - 1, 0)
        return self.optimization.learning_rate * schedule(self.optimization, last, self.steps)

    def corrupted(self, tokens_BL: Tensor, purpose: str, number: int) -> Batch:
        """Return inputs and labels; what is drawn depends on the run's key, the purpose and the number alone."""
        generator = torch.Generator().manual_seed(derived_seed(self.key, purpose, number))
        return self.objective.corrupt(tokens_BL, self.vocabulary, generator)

    def on_train_start(self) -> None:
        """Start the clock."""
        self.clock.start()

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Do one whole optimizer step; the loss returned is the mean over the step's scored labels."""
        # Whatever is drawn inside the network (dropout) belongs to the step, not to the history of the process.
        torch.manual_seed(derived_seed(self.key, "network", self.step))
        set_learning_rate(self.optimizer, schedule(self.optimization, self.step, self.steps))
        loss = self._gradient(batch)
        norm = gradient_norm(self.network, self.scales)
        if not math.isfinite(loss.item()) or not math.isfinite(norm.item()):
            raise Diverged(
                f"step {self.step} has a loss of {loss.item()} and a gradient of length {norm.item()}: training "
                "diverged. Begin anew with a lower optimization.learning_rate, more warm-up or optimization.clip_norm"
            )
        if self.optimization.clip_norm is not None:
            clip_gradient(self.network, norm, self.optimization.clip_norm)
        optimizer: Any = self.optimizers()
        optimizer.step()
        optimizer.zero_grad()
        self.step += 1
        self.tokens_seen += self.optimization.batch_tokens
        self.recent_losses.append(loss.item())
        return {"loss": loss, "gradient_norm": norm}

    def _gradient(self, batch: Batch) -> Tensor:
        """Add up the gradient of the mean loss over all scored labels of the step, micro-batch by micro-batch."""
        num_rows = len(batch["labels"])
        rows = self.optimization.micro_batch_rows or num_rows
        total = torch.zeros((), device=self.device)
        num_scored = (batch["labels"] != NOT_SCORED).sum()
        for start in range(0, num_rows, rows):
            part = {name: tensor[start : start + rows] for name, tensor in batch.items()}
            share = (part["labels"] != NOT_SCORED).sum() / num_scored
            loss = self.objective.losses(self.network, part)["loss"] * share
            self.manual_backward(loss * self.scales.loss_gradient)
            total = total + loss.detach()
        return total

    def loader(self, batches: Batches, first: int, last: int) -> DataLoader:
        """Return a loader of the steps from `first` to before `last`."""
        return DataLoader(_Corrupted(self, batches), batch_size=None, sampler=range(first, last))


class _Corrupted(Dataset):
    def __init__(self, module: PretrainingModule, batches: Batches) -> None:
        self._module, self._batches = module, batches

    def __getitem__(self, step: int) -> Batch:
        return self._module.corrupted(self._batches[step], "corruption", step)
