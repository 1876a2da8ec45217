"""Which checkpoints stay on the disk: the last ones, those of every so many steps, and the best ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from configs.compute import ComputeConfig
from lm_modules.training import checkpoints
from lm_modules.training.going_back import is_good, last_good

VALIDATION_LOSS = "validation_loss"
"""Key of a checkpoint's state: the loss on held-out text, where it was measured at the checkpoint's own step."""


@dataclass(frozen=True)
class Retention:
    """What to keep; a checkpoint stays while any of the three wants it."""

    last: int
    every_steps: int | None = None
    best: int = 0

    @classmethod
    def of(cls, compute: ComputeConfig) -> Retention:
        """Return what the settings say."""
        return cls(compute.keep_checkpoints, compute.keep_every_steps, compute.keep_best)

    def apply(self, directory: Path, step: int) -> None:
        """Delete the rest, and what interrupted writes left behind; `step` is where training is.

        A checkpoint of a later step was passed over as damaged or as no good, and goes. The last good one stays.
        """
        self._apply(directory, _up_to(directory, step), self.last)

    def make_room(self, directory: Path, step: int) -> None:
        """Delete one more than usual, for the next to fit on the disk; a whole and good one always stays."""
        whole = [path for path in _up_to(directory, step) if checkpoints.find_damage(path) is None]
        self._apply(directory, whole, max(1, self.last - 1))

    def _apply(self, directory: Path, known: list[Path], last: int) -> None:
        kept = set(known[-last:])
        if known and not is_good(known[-1]) and (good := last_good(known)):
            kept.add(good)
        if self.every_steps is not None:
            kept |= {path for path in known if checkpoints.step_of(path) % self.every_steps == 0}
        checkpoints.keep(directory, kept | set(self._best(known)))

    def wants(self, directory: Path, loss: float) -> bool:
        """Return whether a checkpoint with this loss would be among the best."""
        best = self._best(checkpoints.listed(directory))
        return math.isfinite(loss) and (len(best) < self.best or any(loss < _loss(path) for path in best))

    def _best(self, paths: list[Path]) -> list[Path]:
        measured = [path for path in paths if _loss(path) < float("inf")] if self.best else []
        return sorted(measured, key=_loss)[: self.best]


def _up_to(directory: Path, step: int) -> list[Path]:
    return [path for path in checkpoints.listed(directory) if checkpoints.step_of(path) <= step]


def _loss(checkpoint: Path) -> float:
    try:
        loss = checkpoints.read_state(checkpoint).get(VALIDATION_LOSS)
    except (OSError, ValueError):  # damaged
        loss = None
    return float("inf") if loss is None else loss
