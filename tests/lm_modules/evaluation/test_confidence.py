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
    expected = f1_score(references, predictions, average="macro", zero_division=0)
    assert score(MacroF1(), predictions, references, LABELS) == pytest.approx(expected, abs=1e-12)
    expected = accuracy_score(references, predictions)
    assert score(Accuracy(), predictions, references, LABELS) == pytest.approx(expected, abs=1e-12)


def test_macro_f1_counts_a_label_that_is_only_predicted_as_zero():
    assert score(MacroF1(), ["a", "b"], ["a", "a"], LABELS) == pytest.approx((2 / 3 + 0) / 2)


def test_replicates_equal_scoring_the_drawn_examples_themselves():
    predictions, references = answers(40, 2, 0.5)
    rows = statistics(MacroF1(), predictions, references, LABELS)
    replicates = bootstrap(lambda counts: MacroF1().value(counts @ rows), 40, 25, seed=3)
    drawn = np.random.default_rng(3).integers(40, size=(25, 40))
    by_hand = [
        f1_score([references[i] for i in row], [predictions[i] for i in row], average="macro", zero_division=0)
        for row in drawn
    ]
    np.testing.assert_allclose(replicates, by_hand, atol=1e-12)


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
        {"id": str(index), "label": reference, "prediction": prediction, "probability": 1.0}
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
