"""What is allowed, and yet may not be meant: said in the log when a run begins."""

from __future__ import annotations

from configs.optimization import OptimizationConfig
from configs.pretraining import PretrainingConfig
from lm_modules.training.schedules import phases, schedule

LOWEST_RATE_OF_U_MUP = 0.01
"""From random weights hardly anything is learned with a lower one (see docs/log.md)."""
HIGHEST_RATE_WITH_MUON = 0.2
"""Of Muon, and of AdamW beside it in the standard parametrization: what is learned suffers above, yet no run breaks."""


def remarks(optimization: OptimizationConfig, steps: int) -> list[str]:
    """Return a sentence for each setting of the schedule that does not do in so many steps what its name promises."""
    found = []
    if optimization.schedule != "warmup_stable_decay" and optimization.decay_fraction != _usual("decay_fraction"):
        found.append(
            f"optimization.decay_fraction {optimization.decay_fraction:g} has no effect with schedule "
            f"{optimization.schedule}, which falls from the end of the warm-up on"
        )
    warmup, decay = phases(optimization, steps)
    asked = optimization.warmup_steps or 0
    # the last step of the rise may be the first of the fall
    if asked and (asked > warmup or warmup + decay > steps + 1):
        reached = max(schedule(optimization, step, steps) for step in range(steps))
        found.append(
            f"optimization.warmup_steps {asked} and a decay of {decay} steps do not fit into {steps}: the learning "
            f"rate reaches {reached:.3g} of its peak"
            + (f", in a warm-up of {warmup}" if warmup < asked else "")
            + ". Lower optimization.warmup_steps, or give optimization.warmup_fraction in its place"
        )
    return found


def rate_remarks(config: PretrainingConfig) -> list[str]:
    """Return a sentence for each learning rate that is far from what its parametrization and its optimizer need."""
    optimization, kind = config.optimization, config.model.parametrization.kind
    rate, found = optimization.learning_rate, []
    if kind == "u_mup" and config.base is None and rate < LOWEST_RATE_OF_U_MUP:
        found.append(
            f"optimization.learning_rate {rate:g} is one for the standard parametrization; with u_mup, where about 1 "
            "is usual at any width, hardly anything is learned with it"
        )
    if optimization.optimizer == "muon":
        muon = optimization.muon_learning_rate or rate
        if muon > HIGHEST_RATE_WITH_MUON:
            where = "muon_learning_rate" if optimization.muon_learning_rate else "learning_rate, which Muon takes too,"
            found.append(f"optimization.{where} {muon:g} is high: set muon_learning_rate, for which 0.02 is usual")
        if kind == "standard" and rate > HIGHEST_RATE_WITH_MUON:
            found.append(
                f"optimization.learning_rate {rate:g} is one for u_mup; with the standard parametrization, beside "
                "Muon, 1e-3 to 0.1 is usual"
            )
    return found


def _usual(name: str) -> object:
    return OptimizationConfig.model_fields[name].default
