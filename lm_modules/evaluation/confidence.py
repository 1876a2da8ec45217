"""How sure a score is: bootstrap over examples (Efron 1979), paired where two models answered the same ones.

A replicate draws as many examples as there are, with replacement. What counts is only how often each example is drawn,
so all replicates of all metrics are matrix products: `counts_RN @ statistics_NC`. Where examples come in groups that
were held out together (the docstrings of a module), whole groups are drawn (Davison & Hinkley 1997, section 3.8):
examples of one group resemble each other, and the question is how well the model does on groups that it never saw.
"""

# N examples, G groups, R replicates, C columns of statistics

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm_modules.evaluation.metrics import Metric

CHUNK_CELLS = 4_000_000
"""Counts that are in memory at a time (32 MB)."""

Floats = NDArray[np.float64]
Groups = Sequence[str] | None


@dataclass(frozen=True)
class Interval:
    """A value with the limits between which it lies with the stated confidence."""

    value: float
    low: float
    high: float


def interval(
    metric: Metric, statistics_NC: Floats, groups: Groups = None, *, confidence: float, replicates: int, seed: int
) -> Interval:
    """Return the metric of the examples with its percentile bootstrap interval."""
    replicate_R = bootstrap(
        lambda counts: metric.value(counts @ statistics_NC),
        len(statistics_NC),
        groups,
        replicates=replicates,
        seed=seed,
    )
    return _interval(float(metric.value(statistics_NC.sum(axis=0))), replicate_R, confidence)


def paired_difference(
    metric: Metric,
    challenger_NC: Floats,
    baseline_NC: Floats,
    groups: Groups = None,
    *,
    confidence: float,
    replicates: int,
    seed: int,
) -> Interval:
    """Return challenger minus baseline; in every replicate both are scored on the same drawn examples."""
    if challenger_NC.shape != baseline_NC.shape:
        raise ValueError(
            f"the models answered {len(challenger_NC)} and {len(baseline_NC)} examples; evaluate both on the same ones"
        )

    def difference(counts: Floats) -> Floats:
        return metric.value(counts @ challenger_NC) - metric.value(counts @ baseline_NC)

    whole = difference(np.ones((1, len(challenger_NC))))
    replicate_R = bootstrap(difference, len(challenger_NC), groups, replicates=replicates, seed=seed)
    return _interval(float(whole[0]), replicate_R, confidence)


def bootstrap(
    value: Callable[[Floats], Floats], num_examples: int, groups: Groups = None, *, replicates: int, seed: int
) -> Floats:
    """Return `value(counts)` of every replicate, [replicates]; counts are [some replicates, examples].

    `groups` names the group of each example; None draws examples one by one. The replicates depend on the seed and the
    groups alone, so that all metrics and models share them.
    """
    generator = np.random.default_rng(seed)
    names, group_N = np.unique(np.arange(num_examples) if groups is None else np.array(groups), return_inverse=True)
    num_groups = len(names)
    chunk = max(1, CHUNK_CELLS // num_examples)
    values = []
    for start in range(0, replicates, chunk):
        drawn = generator.integers(num_groups, size=(min(chunk, replicates - start), num_groups))
        # one count for each pair of replicate and group
        drawn += np.arange(len(drawn))[:, None] * num_groups
        counts_RG = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        values.append(value(counts_RG[:, group_N].astype(np.float64)))
    return np.concatenate(values)


def _interval(value: float, replicate_R: Floats, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicate_R, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
