"""When the state of a fine-tuning is written: after an evaluation, before an end, and now and then in between."""

from __future__ import annotations

import time
from typing import Any

import lightning

from lm_modules.training.finetuning_evaluations import Evaluations


class Saving(lightning.Callback):
    """Saves the state on the first rank; stands after every callback that reports or may ask for an end."""

    def __init__(self, evaluations: Evaluations, every_minutes: float) -> None:
        self._evaluations, self._every_seconds = evaluations, 60 * every_minutes

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Begin the first interval."""
        self._saved_at = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Save if it is time."""
        state = self._evaluations.state
        was_evaluated = state.progress.step in self._evaluations.steps
        if was_evaluated or trainer.should_stop or time.perf_counter() - self._saved_at >= self._every_seconds:
            if not was_evaluated:  # the evaluation has, and reported what it found
                self._evaluations.take_stock(module)
            state.save(module.trained, trainer.optimizers[0])
            self._saved_at = time.perf_counter()
