"""What is searched: a hyperparameter is a number, or a range of numbers for the sweep to choose from.

learning_rate: 3e-4                                                    # fixed
learning_rate: {low: 1e-4, high: 1e-3, log: true}                      # tuned
adapter: {choices: [full, lora]}                                       # tuned
adapter: {choices: [full, {kind: lora, rank: {low: 4, high: 64, integer: true}}]}   # and its rank
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, FiniteFloat, model_validator

from configs.base import Config
from configs.component import members

C = TypeVar("C", bound=Config)


class Range(Config):
    """Numbers from `low` to `high`, both included."""

    low: FiniteFloat
    """Smallest value."""
    high: FiniteFloat
    """Largest value."""
    log: bool = False
    """Draw uniformly in the logarithm (for learning rates)."""
    step: float | None = Field(default=None, gt=0)
    """Draw multiples of this only; null draws any number."""
    integer: bool = False
    """Draw whole numbers only."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}; exchange them")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low above 0, not {self.low}; raise low or set log to false")
        if self.log and self.step is not None:
            raise ValueError(f"log and step {self.step} exclude each other; leave one of them out")
        for name, value in (("low", self.low), ("high", self.high), ("step", self.step or 1)):
            if self.integer and value != int(value):
                raise ValueError(f"{name} {value} is no whole number; round it or set integer to false")
        return self


class Choice(Config):
    """One of the listed values."""

    choices: tuple[Any, ...] = Field(min_length=1)
    """The values to choose from."""


def search_space(config: Config, prefix: str = "") -> dict[str, Range | Choice]:
    """Return what is left open in `config`: dotted path of the field -> its range.

    What is open inside one of several choices is searched where that is chosen, and is not listed here.
    """
    found: dict[str, Range | Choice] = {}
    for name in type(config).model_fields:
        value, path = getattr(config, name), f"{prefix}{name}"
        if isinstance(value, Range | Choice):
            found[path] = value
        elif isinstance(value, Config):
            found |= search_space(value, f"{path}.")
        elif isinstance(value, dict):
            for key, each in value.items():
                if isinstance(each, Config):
                    found |= search_space(each, f"{path}.{key}.")
    return found


def fixed(config: C, values: dict[str, Any]) -> C:
    """Return `config` with the values (dotted path -> value) in place of its ranges, validated again.

    A choice comes before what was searched inside it: `{"adapter": "lora", "adapter.rank": 8}`.
    """
    return type(config).model_validate(with_values(config, values))


def with_values(config: Config, values: dict[str, Any]) -> dict[str, Any]:
    """Return what `fixed` validates."""
    data = config.model_dump(mode="json")
    for path, value in values.items():
        *parents, last = path.split(".")
        place = data
        for parent in parents:
            if isinstance(place[parent], str):
                place[parent] = {"kind": place[parent]}
            place = place[parent]
        place[last] = dict(value) if isinstance(value, dict) else value
    return data


class TuningConfig(Config):
    """The sweep: how many trials, chosen how, stopped when."""

    model_config = ConfigDict(title="Tuning")
    without_effect: ClassVar = frozenset({"work_pool"})

    trials: int = Field(default=8, ge=1)
    """How many trials are completed, pruned ones included; failed ones are not counted. The first takes the middle of
    every range and the first of every choice."""
    parallel: int = Field(default=2, ge=1)
    """How many trials run side by side, each in a process of its own."""
    work_pool: str | None = None
    """A Prefect work pool whose workers run the trials, on any machine that shares the servers. As many run side by
    side as the pool lets, or `parallel` where it sets no limit. Null runs them on this machine."""
    sampler: Literal["tpe", "random", "gp"] = "tpe"
    """How the next trial's values are chosen: tree-structured Parzen estimators, at random, or a Gaussian process."""
    random_trials: int = Field(default=4, ge=1)
    """Trials, the first among them, before the sampler learns from results; the others' values are drawn at random."""
    pruner: Literal["median", "hyperband", "none"] = "median"
    """How a trial that falls behind is stopped early."""
    warmup_trials: int = Field(default=2, ge=0)
    """Trials that run to their end before the median pruner compares."""
    warmup_evaluations: int = Field(default=1, ge=0)
    """Evaluations of a trial that the median pruner lets pass: what is seen so early may say more of how the learning
    rate rises than of the trial. After equally many evaluations trials have seen equally much of the data."""
    minutes: float | None = Field(default=None, gt=0)
    """No trial begins after this many minutes; null sets no limit."""
    device_seconds: float | None = Field(default=None, gt=0)
    """No trial begins once all trials of the study together have taken this long, each on its GPU or its share of the
    cores, also before the sweep was last stopped; null sets no limit."""
    repeats: int = Field(default=0, ge=0)
    """How many more times, with other seeds, each of the best trials is run in the end. The winner is then the best of
    them on average: the best of many single runs owes part of its lead to chance."""
    repeat_best: int = Field(default=2, ge=2)
    """How many of the best trials are repeated, where repeats are asked for."""
    warm_start: bool = False
    """Try first what was best before: the settings of the champion, searched or fixed then, as far as they lie in what
    is open now; and, as far, those of the last studies of the same head, base and metric. The result then depends on
    what was run before. A study that began without it goes on without it."""
    metric: str | None = None
    """The figure that is made best, as the trial reports it; whether the largest is best, the metric itself says. Null
    takes the first metric of the head."""

    def remarks(self, is_open: bool) -> list[str]:
        """Return a sentence for each setting that was given and has no effect; `is_open`: there is something to search.

        What is as by default counts as not given: settings that come back from a server name every field.
        """
        not_the_median = None if self.pruner == "median" else f"with pruner {self.pruner}"
        idle = {
            "trials": "where nothing is left open: one trial is run" if not is_open and self.trials > 1 else None,
            "random_trials": "with sampler random, which draws them all" if self.sampler == "random" else None,
            "warmup_trials": not_the_median,
            "warmup_evaluations": not_the_median,
            "repeat_best": None if self.repeats else "without repeats",
        }
        return [
            f"tuning.{name} {getattr(self, name)} has no effect {why}"
            for name, why in idle.items()
            if why and getattr(self, name) != type(self).model_fields[name].default
        ]

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Return whether the best figure is the largest or the smallest."""
        kind = (self.metric or "").rpartition("/")[2]
        if kind == "loss":
            return "minimize"
        metric: Any = members("lm_modules.evaluation.metrics").get(kind)
        return "maximize" if metric is None or metric.higher_is_better else "minimize"
