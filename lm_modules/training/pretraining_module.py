"""One LightningModule for every objective: a training step is one optimizer step, however its batch is cut."""

# B rows, L row length

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from configs.batch_sizes import BatchSizes
from configs.optimization import OptimizationConfig
from lm_modules.data.batches import Batches, derived_seed
from lm_modules.data.rows import Rows
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.parametrization import Scaling
from lm_modules.objectives import Batch, Objective
from lm_modules.training.callbacks.reporting import Clock
from lm_modules.training.followers import end_with_parent, fork_server
from lm_modules.training.gradient_sum import GradientSum, explained_memory
from lm_modules.training.optimizers import (
    bring_state_to_weights,
    build_optimizers,
    clip_gradient,
    gradient_norm,
    set_learning_rate,
)
from lm_modules.training.ranks import Ranks
from lm_modules.training.schedules import schedule

logger = logging.getLogger(__name__)

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
        scaling: Scaling,
        optimization: OptimizationConfig,
        batch_sizes: BatchSizes,
        steps: int,
        key: int,
        ranks: Ranks,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network, self.objective, self.scaling = network, objective, scaling
        self.optimization, self.steps, self.key = optimization, steps, key
        self.batch_sizes = batch_sizes
        self.corruption = Corruption(objective, vocabulary, key)
        self.gradient_sum = GradientSum(objective, scaling, optimization.micro_batch_rows, ranks)
        self.moved_by = build_optimizers(network, optimization)
        self.weights = list(network.parameters())  # to walk through the modules takes longer than the norm
        self.step = 0
        self.num_skipped, self.last_moved = 0, -1
        self.offending: list[int] = []  # in a row, up to now
        self.left_out: set[int] = set()  # since they were found to be no good
        self.tokens_seen = 0
        self.clock = Clock()
        self.recent_losses: deque[float] = deque(maxlen=RECENT_STEPS)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return the optimizers, which exist from the beginning so that their state can be restored."""
        return self.moved_by

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step, before the multipliers of the table."""
        last = max(self.step - 1, 0)
        return self.optimization.learning_rate * schedule(self.optimization, last, self.steps)

    def on_train_start(self) -> None:
        """Start the clock, with what the optimizers remember beside the weights, which have their device by now."""
        bring_state_to_weights(self.moved_by)
        self.clock.start()

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Do one whole optimizer step; the loss returned is the mean over the step's scored labels."""
        if self.step in self.left_out:
            return self._leave_out()
        set_learning_rate(self.moved_by, schedule(self.optimization, self.step, self.steps))
        parts = self._gradient(batch)
        loss = parts["loss"]
        norm = gradient_norm(self.weights, self.scaling)
        self.tokens_seen += self.batch_sizes.tokens(self.step)
        self.step += 1
        loss_value, norm_value = loss.item(), norm.item()
        if fault := self._fault(loss_value, norm_value):
            self._skip(fault)
            return {}
        with explained_memory():
            self._move(norm_value)
        self.offending, self.last_moved = [], self.step - 1
        self.recent_losses.append(loss_value)
        return {**parts, "gradient_norm": norm}

    def _move(self, norm: float) -> None:
        if self.optimization.clip_norm is not None:
            clip_gradient(self.weights, norm, self.optimization.clip_norm)
        for optimizer in self._wrapped():
            optimizer.step()
            optimizer.zero_grad()

    def _leave_out(self) -> dict[str, Tensor]:
        """Pass over a step that was found to be no good before the run went back."""
        self.tokens_seen += self.batch_sizes.tokens(self.step)
        self.step += 1
        self.num_skipped += 1
        logger.warning("step %d was no good before: it is left out", self.step)
        return {}

    def _fault(self, loss: float, norm: float) -> str | None:
        """Return why a step must not move the weights, or None."""
        if not math.isfinite(loss) or not math.isfinite(norm):
            return f"a loss of {loss:g} and a gradient of length {norm:g}"
        spike = self.optimization.spike_nats
        if spike is not None and len(self.recent_losses) == RECENT_STEPS:
            mean = sum(self.recent_losses) / RECENT_STEPS
            if loss > mean + spike * sum(self.objective.weights().values()):
                return f"a loss of {loss:.3f}, where the last {RECENT_STEPS} steps had {mean:.3f}"
        return None

    def _skip(self, fault: str) -> None:
        """Leave a step out and count it; Diverged if too many came in a row."""
        for optimizer in self.moved_by:
            optimizer.zero_grad()
        self.num_skipped += 1
        self.offending.append(self.step - 1)
        logger.warning("step %d has %s: it is left out", self.step, fault)
        if len(self.offending) > self.optimization.max_skipped_steps:
            raise Diverged(
                f"step {self.step} has {fault}, and so had the {len(self.offending) - 1} before it: training diverged. "
                "Begin anew with a lower optimization.learning_rate, more warm-up or optimization.clip_norm"
            )

    def _wrapped(self) -> list[Any]:
        """Return the optimizers as Lightning steps them; of one it makes no list."""
        wrapped: Any = self.optimizers()
        return wrapped if isinstance(wrapped, list) else [wrapped]

    def _gradient(self, batch: Batch) -> dict[str, Tensor]:
        """Leave the gradient of the whole step in the network; return the loss and its parts, means over the step."""
        # Whatever is drawn inside the network (dropout) belongs to the step, not to the history of the process.
        seed = derived_seed(self.key, "network", self.step)
        return self.gradient_sum(self.network, batch, seed, self.manual_backward, self.device)

    def loader(self, batches: Batches, first: int, last: int, data_workers: int = 0) -> DataLoader:
        """Return a loader of the steps from `first` to before `last`."""
        return DataLoader(
            _Corrupted(self.corruption, batches),
            batch_size=None,
            sampler=range(first, last),
            num_workers=data_workers,
            # a fork would copy the threads of this process, and with them locks that nobody opens again
            multiprocessing_context=fork_server() if data_workers else None,
            worker_init_fn=end_with_parent,
        )


@dataclass(frozen=True)
class Corruption:
    """Turns the text of a step into inputs and labels."""

    objective: Objective
    vocabulary: Vocabulary
    key: int

    def __call__(self, rows: Rows, purpose: str, number: int) -> Batch:
        """Return inputs and labels; what is drawn depends on the run's key, the purpose and the number alone."""
        generator = torch.Generator().manual_seed(derived_seed(self.key, purpose, number))
        return self.objective.corrupt_rows(rows, self.vocabulary, generator)


class _Corrupted(Dataset):
    def __init__(self, corruption: Corruption, batches: Batches) -> None:
        self._corruption, self._batches = corruption, batches

    def __getitem__(self, step: int) -> Batch:
        return self._corruption(self._batches[step], "corruption", step)
