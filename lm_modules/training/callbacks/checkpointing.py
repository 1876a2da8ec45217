"""Saves the training state every so many steps, after the last, and when training is asked to end.

Where the last step was left out or has broken the weights, nothing is saved before the end but for an end that is asked
for: what can be gone back to stays.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lm_modules.training.going_back import is_broken, is_settled


class Checkpointing(Callback):
    """Calls `save` when it is time or `worth_keeping` says so; stands after every callback that may ask for an end."""

    def __init__(self, save: Callable[[], Path], every_steps: int, worth_keeping: Callable[[], bool]) -> None:
        self._save, self._every_steps, self._worth_keeping = save, every_steps, worth_keeping

    def _is_wanted(self, module: Any, asked: bool) -> bool:
        if asked:
            return True
        if module.step == module.steps:
            return not is_broken(module.network)
        return (module.step % self._every_steps == 0 or self._worth_keeping()) and is_settled(module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time."""
        module: Any = pl_module
        if self._is_wanted(module, trainer.should_stop):
            module.clock.pause()
            self._save()
            module.clock.start()
