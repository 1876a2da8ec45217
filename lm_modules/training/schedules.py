"""The learning rate over the steps.

Warmup, stable, decay (Hu et al. 2024, arXiv 2404.06395, section 4):

    1.0        ____________
              /            \\
             /              \\
    0.0     /                \\__ final_fraction
"""

from __future__ import annotations

import math

from configs.optimization import OptimizationConfig


def warmup_stable_decay(step: int, *, steps: int, warmup_steps: int, decay_steps: int, final_fraction: float) -> float:
    """Return the learning rate of a step, counted from 0, as a part of its peak.

    The first step already learns, and the last (steps - 1) still does: with no final_fraction it has 1 / decay_steps.
    """
    rise = (step + 1) / warmup_steps if step < warmup_steps else 1.0
    left = steps - step
    fall = left / decay_steps if left < decay_steps else 1.0
    return min(rise, final_fraction + (1 - final_fraction) * fall)


def cosine(step: int, *, steps: int, warmup_steps: int, final_fraction: float) -> float:
    """Return the same for a fall along half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983, section 3)."""
    rise = (step + 1) / warmup_steps if step < warmup_steps else 1.0
    passed = max(0.0, (step - warmup_steps) / max(steps - warmup_steps, 1))
    return min(rise, final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * passed)) / 2)


def schedule(config: OptimizationConfig, step: int, steps: int) -> float:
    """Return the learning rate of a step of this run, as a part of its peak."""
    warmup, decay = phases(config, steps)
    if config.schedule == "cosine":
        return cosine(step, steps=steps, warmup_steps=warmup, final_fraction=config.final_fraction)
    return warmup_stable_decay(
        step, steps=steps, warmup_steps=warmup, decay_steps=decay, final_fraction=config.final_fraction
    )


def phases(config: OptimizationConfig, steps: int) -> tuple[int, int]:
    """Return the steps of the warm-up and those of the decay of this run."""
    warmup = round(steps * config.warmup_fraction) if config.warmup_steps is None else config.warmup_steps
    warmup = min(warmup, steps)
    late = config.schedule == "warmup_stable_decay"
    return warmup, round(steps * config.decay_fraction) if late else steps - warmup
