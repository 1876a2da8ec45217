"""One LightningModule for every head: a training step is one optimizer step, however its batch is cut.

In micro-batches, over ranks, and again where memory ends.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from configs.finetuning import FinetuningOptimizationConfig
from lm_modules.data.batches import derived_seed
from lm_modules.data.length_grouping import LengthGroupedBatches
from lm_modules.hardware.memory import TooLarge
from lm_modules.heads import Encoded, Head
from lm_modules.training.finetuning_state import trainable
from lm_modules.training.gradient_sum import is_out_of_memory
from lm_modules.training.optimizers import bring_state_to_weights
from lm_modules.training.ranks import Ranks
from lm_modules.training.schedules import warmup_stable_decay
from lm_modules.training.shared_backbone import depths_of
from lm_modules.training.subjects import Subject

logger = logging.getLogger(__name__)


class FineTuning(lightning.LightningModule):
    """A stock model with its head, its loss, and AdamW with layer-wise learning rates.

    What is learned beside adds its weight times its mean loss to every step; `trained` then holds all parameters.
    """

    def __init__(
        self,
        network: nn.Module,
        head: Head,
        optimization: FinetuningOptimizationConfig,
        num_steps: int,
        seed: int,
        pad_token_id: int,
        trained: nn.Module | None = None,
        besides: Sequence[Subject] = (),
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.ranks = ranks
        self.network, self.head, self.optimization = network, head, optimization
        self.trained = network if trained is None else trained
        self.besides = besides
        self.num_steps, self.seed, self.pad_token_id = num_steps, seed, pad_token_id
        self.micro_batch_examples = optimization.micro_batch_examples
        """Rows that are in memory at once; it shrinks for good when memory has ended. None means all of a step."""
        self.optimizer = torch.optim.AdamW(parameter_groups(self.trained, optimization), fused=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW, which may already hold the moments of an earlier process."""
        return self.optimizer

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the rows as they are; what is made of them is moved a micro-batch at a time."""
        return batch

    def on_train_start(self) -> None:
        """Put what the optimizer remembers beside the weights, which have their device by now."""
        bring_state_to_weights([self.optimizer])

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor:
        """Do the whole step `batch["step"]`, whose dropout is drawn from seed and step; return the mean loss."""
        step, rows, beside = batch["step"], batch["rows"], batch["beside"]
        self._set_learning_rate(step)
        while (loss := self._over_ranks(self._gradient(step, rows, beside))) is None:
            self._halve(max(map(len, (rows, *beside))))
        if self.optimization.clip_norm is not None:
            nn.utils.clip_grad_norm_(trainable(self.trained).values(), self.optimization.clip_norm)
        wrapped: Any = self.optimizers()
        wrapped.step()
        wrapped.zero_grad()
        return loss

    def _set_learning_rate(self, step: int) -> None:
        warmup = round(self.optimization.warmup_fraction * self.num_steps)  # type: ignore[operator]  # closed
        part = warmup_stable_decay(
            step, steps=self.num_steps, warmup_steps=warmup, decay_steps=self.num_steps - warmup, final_fraction=0.0
        )
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest_lr"] * part

    def _gradient(self, step: int, rows: Sequence[Encoded], beside: Sequence[Sequence[Encoded]] = ()) -> Tensor | None:
        """Leave this rank's part of the gradient of the step's loss in the networks, and return its part of that.

        The loss is the mean over `rows`, and over those `beside` the mean of each times its weight. None if memory has
        ended.
        """
        torch.manual_seed(self._dropout_seed(step))
        try:
            loss = self._add_gradient(self.head, self.network, rows, 1.0)
            for each, others in zip(self.besides, beside, strict=True):
                loss = loss + self._add_gradient(each.head, each.network, others, each.weight)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        return loss

    def _add_gradient(self, head: Head, network: Any, rows: Sequence[Encoded], weight: float) -> Tensor:
        """Add this rank's part of the gradient of `weight` times the mean loss to what is there; return its part."""
        first, last = self.ranks.share(len(rows))
        at_once, total = self.micro_batch_examples or max(last - first, 1), head.num_targets(rows)
        smoothing = self.optimization.label_smoothing if head.smooths_labels else 0.0
        mean = torch.zeros((), device=self.device)
        for start in range(first, last, at_once):
            some = rows[start : min(start + at_once, last)]
            batch = head.collate(some, self.pad_token_id)
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            loss = head.loss(network, batch, smoothing)  # type: ignore[arg-type]  # closed
            part = loss if len(some) == len(rows) else loss * (head.num_targets(some) / max(total, 1))
            part = part if weight == 1 else part * weight
            self.manual_backward(part)
            mean = mean + part.detach()
        return mean

    def _dropout_seed(self, step: int) -> int:
        """Return what dropout is drawn from: ranks have rows of their own, and what is dropped of these too."""
        seed = self.seed * 1_000_003 + step
        return seed if self.ranks.leads else derived_seed(seed, "dropout of a rank", self.ranks.rank)

    def _over_ranks(self, loss: Tensor | None) -> Tensor | None:
        """Add up loss and gradients of all ranks; None if memory has ended on one of them."""
        if self.ranks.count == 1:
            return loss
        weights = list(trainable(self.trained).values())
        sums = self.ranks.sum_step([0.0 if loss is None else float(loss)], weights, failed=loss is None)
        return None if sums is None else torch.tensor(sums[0], device=self.device)

    def _halve(self, num_rows: int) -> None:
        largest_share = self.ranks.largest_share(num_rows)  # all ranks begin from it
        rows = min(self.micro_batch_examples or largest_share, largest_share)
        if rows == 1:
            raise TooLarge(
                "out of memory with a single example at once; lower finetuning.context_length, take the adapter lora, "
                "or free memory on the device"
            )
        self.micro_batch_examples = rows // 2
        for parameter in self.trained.parameters():
            parameter.grad = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.warning(
            "out of memory with %d examples at once: the step is repeated, and training goes on, with %d; set "
            "optimization.micro_batch_examples to %d to begin so",
            *(rows, rows // 2, rows // 2),
        )


def parameter_groups(network: nn.Module, optimization: FinetuningOptimizationConfig) -> list[dict[str, Any]]:
    """Return AdamW's groups: the rate falls by `layer_decay` from the head down (Howard and Ruder 2018, section 3.2).

    Vectors (gains and biases) have no weight decay.
    """
    depths = depths_of(network)
    top = max(depths.values())
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in trainable(network).items():
        depth, is_matrix = depths[name], parameter.ndim > 1
        if (depth, is_matrix) not in groups:
            rate = optimization.learning_rate * optimization.layer_decay ** (top - depth)  # type: ignore[operator]
            decay = optimization.weight_decay if is_matrix else 0.0
            groups[depth, is_matrix] = {"params": [], "lr": rate, "highest_lr": rate, "weight_decay": decay}
        groups[depth, is_matrix]["params"].append(parameter)
    return list(groups.values())


class Lessons:
    """The rows of the steps from `first_step` to `num_steps`, and of each step those of what is learned beside."""

    def __init__(
        self,
        encoded: Sequence[Encoded],
        batches: LengthGroupedBatches,
        first_step: int,
        num_steps: int,
        besides: Sequence[Subject] = (),
    ) -> None:
        self.encoded, self.batches, self.besides = encoded, batches, besides
        self.first_step, self.num_steps = first_step, num_steps

    def __len__(self) -> int:
        return self.num_steps - self.first_step

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for step in range(self.first_step, self.num_steps):
            rows = [self.encoded[row] for row in self.batches[step]]
            yield {"rows": rows, "step": step, "beside": [each.rows(step) for each in self.besides]}
