"""Saves the training state every so many steps, after the last, and when training is asked to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Checkpointing(Callback):
    """Calls `save` when it is time or `worth_keeping` says so; stands after every callback that may ask for an end."""

    def __init__(self, save: Callable[[], Path], every_steps: int, worth_keeping: Callable[[], bool]) -> None:
        self._save, self._every_steps, self._worth_keeping = save, every_steps, worth_keeping

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time."""
        module: Any = pl_module
        due = module.step % self._every_steps == 0 or module.step == module.steps or trainer.should_stop
        if due or self._worth_keeping():
            module.clock.pause()
            self._save()
            module.clock.start()
