"""The learning rate over the steps: warmup, stable, decay (Hu et al. 2024, arXiv 2404.06395, section 4).

    1.0        ____________
              /            \\
             /              \\
    0.0     /                \\__ final_fraction
"""

from __future__ import annotations

from configs.optimization import OptimizationConfig


def warmup_stable_decay(step: int, *, steps: int, warmup_steps: int, decay_steps: int, final_fraction: float) -> float:
    """Return the learning rate of a step, counted from 0, as a part of its peak.

    The first step already learns, and the last (steps - 1) still does: with no final_fraction it has 1 / decay_steps.
    """
    rise = (step + 1) / warmup_steps if step < warmup_steps else 1.0
    left = steps - step
    fall = left / decay_steps if left < decay_steps else 1.0
    return min(rise, final_fraction + (1 - final_fraction) * fall)


def schedule(config: OptimizationConfig, step: int, steps: int) -> float:
    """Return the learning rate of a step of this run, as a part of its peak."""
    warmup = round(steps * config.warmup_fraction) if config.warmup_steps is None else config.warmup_steps
    return warmup_stable_decay(
        step,
        steps=steps,
        warmup_steps=min(warmup, steps),
        decay_steps=round(steps * config.decay_fraction),
        final_fraction=config.final_fraction,
    )
