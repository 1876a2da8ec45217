"""Whether a trained model knows less than one that has learned nothing: then its training failed, however it ended."""

from __future__ import annotations

from collections.abc import Mapping

from lm_modules.objectives import Objective

MARGIN = 1.05
"""A model at birth is about as good as guessing; a part this much worse is no chance."""


def worse_than_guessing(objective: Objective, vocab_size: int, losses: Mapping[str, float]) -> list[str]:
    """Return a sentence for each part of the loss on held-out text that is above that of guessing, or is no number."""
    return [
        f"the validation {name if name == 'loss' else f'loss of {name}'} of {losses[name]:.3f} is worse than guessing, "
        f"which has {nats:.3f}: training diverged or never began. Lower optimization.learning_rate, or take one that "
        "fits model.parametrization"
        for name, nats in objective.guessing(vocab_size).items()
        if not losses[name] <= MARGIN * nats
    ]
