"""An orderly end of all ranks: on SIGTERM or SIGINT, or when the listener of the reports asks it, after the step."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lm_modules.training.ranks import Ranks

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """Training was asked to end before its work was done; its state is saved, and the same call continues it."""

    def __init__(self, step: int, steps: int, checkpoint: Path) -> None:
        super().__init__(f"stopped in order after step {step} of {steps}; the same command continues from {checkpoint}")
        self.step, self.steps, self.checkpoint = step, steps, checkpoint


class Stopping(Callback):
    """Turns a signal into `wanted`, which ends training after the step; handlers that were there are called as well."""

    def __init__(self, ranks: Ranks = Ranks()) -> None:  # noqa: B008 (frozen)
        self.wanted = False
        self._ranks = ranks
        self._outer = {each: signal.getsignal(each) or signal.SIG_DFL for each in SIGNALS}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals, after Lightning has installed its own handlers (which end in mid-step)."""
        if threading.current_thread() is threading.main_thread():
            for each in SIGNALS:
                if self._outer[each] is not signal.SIG_IGN:
                    signal.signal(each, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True
        outer: Any = self._outer[signal.Signals(number)]
        if callable(outer) and outer is not signal.default_int_handler:
            outer(number, frame)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End the loop of every rank if an end is wanted on one."""
        trainer.should_stop = self._ranks.any(trainer.should_stop or self.wanted)

    def restore(self) -> None:
        """Give the signals back."""
        if threading.current_thread() is threading.main_thread():
            for each, handler in self._outer.items():
                signal.signal(each, handler)
