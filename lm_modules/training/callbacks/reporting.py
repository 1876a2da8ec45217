"""Tells the listener how training goes, about once in a while rather than at every step.

Part of the time passes between the end of a step and the beginning of the next: there the next batch is made and moved
to the device. It is reported as `train/data_wait_fraction`.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lm_modules.training.reporting import TOTAL, Report
from lm_modules.training.telemetry import ABOUT, Telemetry


class Reporting(Callback):
    """Reports the mean loss since the last report, and the speed over the same steps, validation left out.

    With telemetry also what the machine does meanwhile.
    """

    def __init__(self, report: Report, every_seconds: float, telemetry: Telemetry | None = None) -> None:
        self._report, self._every_seconds, self._telemetry = report, every_seconds, telemetry
        self._about = {ABOUT: telemetry.about()} if telemetry else {}
        self._ended = self._waited = 0.0
        self._losses: dict[str, list[torch.Tensor]] = {}
        self._last_seconds = 0.0
        self._last_tokens = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the first interval."""
        module: Any = pl_module
        self._begin(pl_module)
        self._ended = module.clock.seconds

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Count how long the batch was waited for; the clock stands still during validations and checkpoints."""
        module: Any = pl_module
        self._waited += module.clock.seconds - self._ended

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report if it is time or the last step is done; the listener may ask for an end."""
        module: Any = pl_module
        self._note(trainer, module, outputs)
        self._ended = module.clock.seconds

    def _note(self, trainer: Trainer, module: Any, outputs: Any) -> None:
        for name in ("loss", *module.objective.weights()) if outputs else ():  # a step that was left out has none
            self._losses.setdefault(name, []).append(outputs[name])
        due = module.clock.seconds - self._last_seconds >= self._every_seconds
        if not due and module.step < module.steps:
            return
        elapsed = max(module.clock.seconds - self._last_seconds, 1e-9)
        tokens_per_second = (module.tokens_seen - self._last_tokens) / elapsed
        values: dict[str, float | str] = {
            **{f"train/{name}": torch.stack(losses).mean().item() for name, losses in self._losses.items()},
            "train/learning_rate": module.learning_rate,
            **({"train/gradient_norm": float(outputs["gradient_norm"])} if outputs else {}),
            "train/tokens_per_second": tokens_per_second,
            "train/data_wait_fraction": self._waited / elapsed,
        }
        if self._telemetry:
            utilization = self._telemetry.utilization(tokens_per_second)
            values |= {f"train/{name}": value for name, value in utilization.items()}
            values |= {**self._telemetry.sample(module.clock.seconds, last=module.step == module.steps), **self._about}
            self._about = {}  # said once
        self._begin(module)
        if self._report(module.step, values | {TOTAL: module.steps}):
            trainer.should_stop = True

    def _begin(self, module: Any) -> None:
        self._losses, self._waited = {}, 0.0
        self._last_seconds, self._last_tokens = module.clock.seconds, module.tokens_seen


class Clock:
    """Seconds spent on training steps, over all processes that worked on the run."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._before, self._since = seconds, time.perf_counter()
        self._running = False

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._before + (time.perf_counter() - self._since if self._running else 0.0)

    def start(self) -> None:
        """Go on counting."""
        self._since, self._running = time.perf_counter(), True

    def pause(self) -> None:
        """Stop counting."""
        self._before, self._running = self.seconds, False
