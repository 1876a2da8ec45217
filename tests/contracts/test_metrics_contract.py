"""What every metric must do."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import pytest
from metric_examples import ANSWERS, LABELS, PERFECT

from configs.component import members
from lm_modules.evaluation.metrics import Metric
from lm_modules.evaluation.scores import score, statistics

FAMILY = members("lm_modules.evaluation.metrics")
Pairs = tuple[list[Any], list[Any]]


@pytest.fixture(params=FAMILY)
def metric(request: pytest.FixtureRequest) -> Metric:
    return FAMILY[request.param]()


@pytest.fixture
def pairs(metric: Metric) -> Pairs:
    generator, answers = random.Random(0), ANSWERS.get(metric.kind, LABELS)
    return generator.choices(answers, k=60), generator.choices(answers, k=60)


def test_it_scores_what_a_head_answers_and_heads_have_metrics_that_score_theirs():
    heads = members("lm_modules.heads").values()
    assert {each for metric in FAMILY.values() for each in metric.scores} == {each.answers for each in heads}
    assert [(each, kind) for each in heads for kind in each.metrics if each.answers not in FAMILY[kind].scores] == []


def test_perfect_predictions_score_best(metric, pairs):
    predictions, references = pairs
    best = [PERFECT.get(metric.kind, each) for each in references]
    perfect, random_one = score(metric, best, references, LABELS), score(metric, predictions, references, LABELS)
    assert perfect == pytest.approx(metric.best)
    assert perfect > random_one if metric.higher_is_better else perfect < random_one


def test_order_does_not_matter(metric, pairs):
    order = random.Random(1).sample(range(60), 60)
    shuffled = [[values[place] for place in order] for values in pairs]
    assert score(metric, *shuffled, LABELS) == pytest.approx(score(metric, *pairs, LABELS), rel=1e-12)


def test_two_halves_added_equal_the_whole(metric, pairs):
    predictions, references = pairs
    halves = [statistics(metric, predictions[part], references[part], LABELS) for part in (slice(25), slice(25, None))]
    together = metric.value(sum(half.sum(axis=0) for half in halves))
    assert together == pytest.approx(score(metric, *pairs, LABELS), rel=1e-12)


def test_many_replicates_are_scored_at_once(metric, pairs):
    rows = statistics(metric, *pairs, LABELS)
    sums = np.stack([rows[:20].sum(axis=0), rows[20:].sum(axis=0)])
    np.testing.assert_array_equal(metric.value(sums), [metric.value(each) for each in sums])


def test_survives_json_and_pickle(metric):
    assert type(metric).model_validate_json(metric.model_dump_json()) == metric
    assert pickle.loads(pickle.dumps(metric)) == metric
    assert type(metric).__doc__
