"""One end for all ranks of a fine-tuning, which the first decides on."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lm_modules.training.ranks import Ranks


class EndingTogether(Callback):
    """Has the ranks wait while the first evaluates, and end if it ends there; stands after the evaluations."""

    def __init__(self, ranks: Ranks, steps: Set[int]) -> None:
        self._ranks, self._steps = ranks, steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Wait, where this step is one after which there is an evaluation."""
        if batch["step"] + 1 in self._steps:
            trainer.should_stop = self._ranks.told(trainer.should_stop)
