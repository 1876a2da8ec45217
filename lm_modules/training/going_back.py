"""Where a run returns to whose steps are no good in a row, and which of them it then leaves out.

    step          12      13 14 15 16 17 18 19
    found         saved    .  .  x  x  x  x      too many in a row: back to 12
    from there             .  .  -  -  -  -  .   the four are left out, the others are done again

Where there is no good checkpoint, the run returns to its first step: the weights that it began with follow from the
seed, or are its base's. What is left out follows from the steps alone, not from where a checkpoint happens to be, so a
run that is killed meanwhile comes to the same weights. Every return leaves out steps that were not left out before:
there is an end.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from lm_modules.training import checkpoints
from lm_modules.training.pretraining_module import PretrainingModule

GOOD = "good"
"""Key of a checkpoint's state: whether its weights are numbers and the step before it had moved them."""


def is_broken(network: nn.Module) -> bool:
    """Return whether some weight is no number."""
    return not all(bool(torch.isfinite(each).all()) for each in network.parameters())


def is_settled(module: PretrainingModule) -> bool:
    """Return whether the last step has moved the weights, and they are numbers: the state is worth going back to."""
    return module.last_moved == module.step - 1 and not is_broken(module.network)


def to_leave_out(module: PretrainingModule, *, broken: bool) -> set[int]:
    """Return the steps, counted from 0, that are to blame; none if leaving them out would be in vain.

    Where the weights are no numbers any more, the step that moved them last is to blame, and not those that found them
    so. It is in vain where no step is left behind them, where they begin right behind steps that are left out, or where
    no step has moved the weights and they are no numbers.
    """
    steps = {module.last_moved} if broken else set(module.offending)
    if not steps or min(steps) < 0 or max(steps) + 1 >= module.steps or min(steps) - 1 in module.left_out:
        return set()
    return steps


def is_good(checkpoint: Path) -> bool:
    """Return whether a checkpoint was worth going back to when it was written; false if that cannot be read."""
    try:
        return checkpoints.read_state(checkpoint).get(GOOD, True)
    except (OSError, ValueError):
        return False


def last_good(paths: Sequence[Path], before: int | None = None) -> Path | None:
    """Return the last of these checkpoints, oldest first, that is good and whole, and not behind a step."""
    for path in reversed(paths):
        early = before is None or checkpoints.step_of(path) <= before
        if early and is_good(path) and checkpoints.find_damage(path) is None:
            return path
    return None
