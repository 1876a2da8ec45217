"""Settings of a sweep in Optuna's terms."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from optuna import Trial, pruners, samplers
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from configs.base import Config
from configs.component import Component
from configs.tuning import Choice, Range, TuningConfig, search_space


def sampler(tuning: TuningConfig, seed: int) -> samplers.BaseSampler:
    """Return what chooses the values."""
    if tuning.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    kind = samplers.TPESampler if tuning.sampler == "tpe" else samplers.GPSampler
    return kind(seed=seed, n_startup_trials=tuning.random_trials)


def pruner(tuning: TuningConfig) -> pruners.BasePruner:
    """Return what stops a trial early."""
    if tuning.pruner == "median":
        # what Optuna calls a step is the number of an evaluation, from 1 on; from its `n_warmup_steps` on it compares
        return pruners.MedianPruner(tuning.warmup_trials, n_warmup_steps=tuning.warmup_evaluations + 1)
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


def draw(trial: Trial, space: Mapping[str, Range | Choice]) -> None:
    """Have the sampler choose a value for each open field, and for those that lie open inside a choice that it took."""
    for path, each in space.items():
        value = _suggest(trial, path, distribution(each))
        draw(trial, inside(path, each, value))


def inside(path: str, space: Range | Choice, value: Any) -> dict[str, Range | Choice]:
    """Return what lies open inside a choice (`value` as it is stored), under names that other choices do not share."""
    chosen = _chosen(space, value) if isinstance(space, Choice) else None
    if not isinstance(space, Choice) or not isinstance(chosen, Component):
        return {}
    prefix = _prefix(path, space, chosen)
    return {f"{prefix}.{name}": each for name, each in search_space(chosen).items()}


def _prefix(path: str, space: Choice, chosen: Component) -> str:
    """Return what names begin with inside a choice: `adapter.lora`, and `adapter.lora#2` for the second open lora."""
    alike = [each for each in space.choices if isinstance(each, Component) and each.kind == chosen.kind]
    number = [each for each in alike if search_space(each) or each == chosen].index(chosen) + 1
    return f"{path}.{chosen.kind}" if number == 1 else f"{path}.{chosen.kind}#{number}"


def values(space: Mapping[str, Range | Choice], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored parameters as values of the config: dotted path -> value, a choice before what is inside it."""
    found: dict[str, Any] = {}
    for path, each in space.items():
        if path not in params:
            continue
        chosen = _chosen(each, params[path]) if isinstance(each, Choice) else params[path]
        if isinstance(each, Choice) and isinstance(chosen, Component):
            opened, prefix = search_space(chosen), _prefix(path, each, chosen)
            found[path] = _without(chosen.brief(), opened)
            stored = values({f"{prefix}.{name}": own for name, own in opened.items()}, params)
            found |= {path + name.removeprefix(prefix): value for name, value in stored.items()}
        else:
            found[path] = chosen
    return found


def _without(brief: str | dict[str, Any], opened: Mapping[str, Any]) -> str | dict[str, Any]:
    """Return a choice without the ranges inside it, whose values stand beside it."""
    if isinstance(brief, str):
        return brief
    rest = {name: value for name, value in brief.items() if name not in opened}
    return rest if rest.keys() - {"kind"} else rest["kind"]


def params(space: Mapping[str, Range | Choice], settings: Config) -> dict[str, Any]:
    """Return what settings have where something is searched, as it is stored, as far as it lies in what is searched."""
    found: dict[str, Any] = {}
    for path, each in space.items():
        value = _at(settings, path)
        if isinstance(each, Choice):
            # of several that suit, the one that has most of what is inside
            best: dict[str, Any] = max((_params_of_choice(path, each, one, value) for one in each.choices), key=len)
            found |= best
        elif isinstance(value, int | float) and _lies_in(each, value):
            found[path] = value
    return found


def known(space: Mapping[str, Range | Choice], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of another study's parameters that lie in what is searched now, as they are stored."""
    found: dict[str, Any] = {}
    for path, each in space.items():
        value = params.get(path)
        if isinstance(each, Choice):
            is_known = path in params and value in distribution(each).choices  # type: ignore[attr-defined]
        else:
            is_known = isinstance(value, int | float) and _lies_in(each, value)
        if is_known:
            found[path] = value
            found |= known(inside(path, each, value), params)
    return found


def _params_of_choice(path: str, space: Choice, choice: Any, value: Any) -> dict[str, Any]:
    """Return a value as one of the choices is stored, with what lies open inside it; nothing if it is another."""
    if not isinstance(choice, Component) or not isinstance(value, Component):
        return {path: _encoded(choice)} if choice == value else {}
    opened = search_space(choice)
    if _without(choice.brief(), opened) != _without(value.brief(), opened):
        return {}
    prefix = _prefix(path, space, choice)
    return {path: _encoded(choice), **{f"{prefix}.{name}": own for name, own in params(opened, value).items()}}


def _lies_in(space: Range, value: float) -> bool:
    """Return whether a range has a value, on one of its steps."""
    step = space.step or (1 if space.integer else None)
    num_steps = (value - space.low) / step if step else 0
    return space.low <= value <= space.high and math.isclose(num_steps, round(num_steps), abs_tol=1e-8)


def _at(settings: Config, path: str) -> Any:
    """Return the value of a dotted path, None if there is no such."""
    value: Any = settings
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else getattr(value, step, None)
    return value


def middles(space: Mapping[str, Range | Choice]) -> dict[str, Any]:
    """Return the parameters of a first trial: the middle of every range, the first of every choice."""
    found: dict[str, Any] = {}
    for path, each in space.items():
        found[path] = middle(distribution(each))
        found |= middles(inside(path, each, found[path]))
    return found


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, log=distribution.log, step=distribution.step
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log, step=distribution.step)


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
    if isinstance(choice, Component):
        choice = choice.brief()
    return choice if isinstance(choice, str | int | float | None) else json.dumps(choice, sort_keys=True)


def _chosen(space: Choice, value: Any) -> Any:
    """Return the choice that a stored value stands for."""
    return next(each for each in space.choices if _encoded(each) == value)
