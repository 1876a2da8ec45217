"""Settings of a sweep in Optuna's terms."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

from optuna import pruners, samplers
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from configs.tuning import Choice, Range, TuningConfig


def sampler(tuning: TuningConfig, seed: int) -> samplers.BaseSampler:
    """Return what chooses the values."""
    if tuning.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    kind = samplers.TPESampler if tuning.sampler == "tpe" else samplers.GPSampler
    return kind(seed=seed, n_startup_trials=tuning.random_trials)


def pruner(tuning: TuningConfig) -> pruners.BasePruner:
    """Return what stops a trial early."""
    if tuning.pruner == "median":
        return pruners.MedianPruner(tuning.warmup_trials, n_warmup_steps=tuning.warmup_steps)
    return pruners.HyperbandPruner() if tuning.pruner == "hyperband" else pruners.NopPruner()


def distribution(space: Range | Choice) -> BaseDistribution:
    """Return a range or choice as Optuna writes it."""
    if isinstance(space, Choice):
        return CategoricalDistribution([_encoded(each) for each in space.choices])
    high = space.high
    if space.step is not None:  # Optuna warns of a range that does not end on a step
        low, step = Decimal(str(space.low)), Decimal(str(space.step))
        high = float(low + (Decimal(str(high)) - low) // step * step)
    if space.integer:
        return IntDistribution(int(space.low), int(high), log=space.log, step=int(space.step or 1))
    return FloatDistribution(space.low, high, log=space.log, step=space.step)


def middle(distribution: BaseDistribution) -> Any:
    """Return the middle of a range (of the logarithms, where it is drawn so) or the first of the choices."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    between = math.sqrt(low * high) if distribution.log else (low + high) / 2
    if step is None:
        return min(max(float(f"{between:.3g}"), low), high)
    found = low + math.floor((between - low) / step + 0.5) * step
    return min(int(found) if isinstance(distribution, IntDistribution) else found, high)


def _encoded(choice: Any) -> Any:
    """Return a choice as something that Optuna can store: itself if it is plain, else its JSON."""
    return choice if isinstance(choice, str | int | float | None) else json.dumps(choice, sort_keys=True)


def decoded(space: Range | Choice, value: Any) -> Any:
    """Return the value of the config that a stored one stands for."""
    if isinstance(space, Choice):
        return next(each for each in space.choices if _encoded(each) == value)
    return value
