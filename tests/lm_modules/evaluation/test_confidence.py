"""Scores against scikit-learn, intervals against a bootstrap that redraws the examples one by one."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from lm_modules.evaluation import confidence
from lm_modules.evaluation.confidence import bootstrap, interval, paired_difference
from lm_modules.evaluation.evaluate import compare
from lm_modules.evaluation.metrics.accuracy import Accuracy
from lm_modules.evaluation.metrics.macro_f1 import MacroF1
from lm_modules.evaluation.scores import score, statistics

LABELS = ["a", "b", "c", "d", "never"]


def answers(num: int, seed: int, right: float) -> tuple[list[str], list[str]]:
    generator = random.Random(seed)
    references = generator.choices(LABELS[:4], weights=[8, 4, 2, 1], k=num)
    predictions = [each if generator.random() < right else generator.choice(LABELS[:4]) for each in references]
    return predictions, references


@pytest.mark.parametrize("right", [0.0, 0.4, 1.0])
def test_metrics_equal_those_of_scikit_learn(right):
    predictions, references = answers(300, 1, right)
    expected = f1_score(references, predictions, labels=LABELS[:4], average="macro", zero_division=0)
    assert score(MacroF1(), predictions, references, LABELS) == pytest.approx(expected, abs=1e-12)
    expected = accuracy_score(references, predictions)
    assert score(Accuracy(), predictions, references, LABELS) == pytest.approx(expected, abs=1e-12)


def test_macro_f1_is_the_mean_over_the_labels_that_are_true():
    assert score(MacroF1(), ["a", "b", "c"], ["a", "a", "c"], LABELS) == pytest.approx((2 / 3 + 1) / 2)


def test_replicates_equal_scoring_the_drawn_examples_themselves():
    predictions, references = answers(40, 2, 0.5)
    rows = statistics(MacroF1(), predictions, references, LABELS)
    replicates = bootstrap(lambda counts: MacroF1().value(counts @ rows), 40, replicates=25, seed=3)
    drawn = np.random.default_rng(3).integers(40, size=(25, 40))
    np.testing.assert_allclose(replicates, [macro_f1_of(row, predictions, references) for row in drawn], atol=1e-12)


def test_where_examples_come_in_groups_whole_groups_are_drawn():
    predictions, references = answers(40, 2, 0.5)
    groups = [f"group {index % 7}" for index in range(40)]
    rows = statistics(MacroF1(), predictions, references, LABELS)
    replicates = bootstrap(lambda counts: MacroF1().value(counts @ rows), 40, groups, replicates=25, seed=3)
    drawn = np.random.default_rng(3).integers(7, size=(25, 7))
    by_hand = [
        macro_f1_of([i for group in row for i in range(40) if i % 7 == group], predictions, references) for row in drawn
    ]
    np.testing.assert_allclose(replicates, by_hand, atol=1e-12)


def macro_f1_of(chosen, predictions, references):
    true = [references[i] for i in chosen]
    labels = sorted(set(true))
    return f1_score(true, [predictions[i] for i in chosen], labels=labels, average="macro", zero_division=0)


def test_examples_that_are_alike_within_groups_leave_less_certainty():
    generator = random.Random(0)
    hits = [float(generator.random() < 0.5) for _ in range(20)]
    rows = np.repeat(np.array(hits), 50)[:, None] * np.array([[1.0, 0.0]]) + np.array([[0.0, 1.0]])
    settings = {"confidence": 0.95, "replicates": 2000, "seed": 0}
    single = interval(Accuracy(), rows, **settings)
    grouped = interval(Accuracy(), rows, [str(index // 50) for index in range(1000)], **settings)
    assert grouped.value == single.value
    assert grouped.high - grouped.low > 4 * (single.high - single.low)


def test_chunks_change_nothing(monkeypatch):
    rows = statistics(Accuracy(), *answers(50, 4, 0.5), LABELS)
    whole = interval(Accuracy(), rows, confidence=0.9, replicates=200, seed=0)
    monkeypatch.setattr(confidence, "CHUNK_CELLS", 50 * 7)
    assert interval(Accuracy(), rows, confidence=0.9, replicates=200, seed=0) == whole


def test_the_interval_of_accuracy_is_that_of_the_binomial():
    predictions, references = answers(400, 5, 0.5)
    found = interval(
        Accuracy(), statistics(Accuracy(), predictions, references, LABELS), confidence=0.95, replicates=4000, seed=0
    )
    half = 1.96 * (found.value * (1 - found.value) / 400) ** 0.5
    assert found.low == pytest.approx(found.value - half, abs=0.01)
    assert found.high == pytest.approx(found.value + half, abs=0.01)


def test_pairing_makes_the_interval_of_a_difference_narrower():
    predictions, references = answers(300, 6, 0.5)
    better = [
        reference if index % 30 == 0 else each
        for index, (each, reference) in enumerate(zip(predictions, references, strict=True))
    ]
    first, second = (statistics(Accuracy(), each, references, LABELS) for each in (better, predictions))
    settings = {"confidence": 0.95, "replicates": 2000, "seed": 0}
    paired = paired_difference(Accuracy(), first, second, **settings)
    alone = interval(Accuracy(), first, **settings)
    assert paired.value == pytest.approx(first[:, 0].mean() - second[:, 0].mean())
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def records(predictions: list[str], references: list[str]) -> list[dict[str, object]]:
    return [
        {"id": str(index), "group": None, "reference": reference, "prediction": prediction, "probability": 1.0}
        for index, (prediction, reference) in enumerate(zip(predictions, references, strict=True))
    ]


def test_compare_pairs_by_id_and_says_better_only_when_it_is():
    predictions, references = answers(300, 7, 0.3)
    good, weak = records(answers(300, 7, 0.3)[1], references), records(predictions, references)
    settings = {"confidence": 0.95, "replicates": 500, "seed": 0}
    verdict = compare(good, list(reversed(weak)), MacroF1(), **settings)
    assert verdict["better"]
    assert verdict["low"] > 0
    assert not compare(weak, good, MacroF1(), **settings)["better"]
    same = compare(weak, weak, MacroF1(), **settings)
    assert (same["difference"], same["low"], same["high"], same["better"]) == (0, 0, 0, False)


def test_records_of_other_examples_are_refused():
    rows = records(*answers(5, 8, 0.5))
    with pytest.raises(ValueError, match="same data"):
        compare(rows, rows[:4], Accuracy(), confidence=0.95, replicates=100, seed=0)


def test_records_that_share_an_id_are_refused():
    rows = records(*answers(5, 8, 0.5))
    rows[1]["id"] = rows[0]["id"]
    with pytest.raises(ValueError, match="share an id"):
        compare(rows, rows, Accuracy(), confidence=0.95, replicates=100, seed=0)
