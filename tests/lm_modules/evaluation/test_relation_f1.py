"""Relation F1 beside what the official scorer printed (semeval2010_task8_scorer-v1.2.pl), and by hand."""

from __future__ import annotations

import random

import pytest
from finetuning_relations import official_f1

from lm_modules.evaluation.metrics.relation_f1 import RelationF1
from lm_modules.evaluation.metrics.relation_micro_f1 import RelationMicroF1
from lm_modules.evaluation.scores import score

NAMES = "Cause-Effect Component-Whole Content-Container Entity-Destination Entity-Origin Instrument-Agency"
NAMES += " Member-Collection Message-Topic Product-Producer Other"
# Rows are true, columns predicted, and behind them how often the relation was right and its direction wrong: two
# systems' results on the test set as the scorer printed them, with its micro and macro F1 in percent.
CONVOLUTIONS = """
296    0    0    0    9    1    0    1    2   15    4
  2  209    5    3    1    9   13    5    2   32   31
  0    4  160   10    2    0    0    1    0   11    4
  0    2   10  260    0    0    0    2    1   16    1
  2    1    0   12  221    1    0    1    3   16    1
  0    4    1    2    2  101    1    3    9   31    2
  0    6    0    0    2    3  195    4    2   20    1
  1    2    0    2    0    0    3  228    3   19    3
  4    4    2    1    9   10    0    5  167   24    5
 20   25   25   25   32   20   39   39   26  203    0
"""
ANOTHER = """
263    1    0    1   11    3    3    2    3   20   21
  2  187    9    6    4    7   11    7    4   34   41
  0    6  156    8    6    0    2    0    1    5    8
  0    1   16  256    2    1    0    2    3    8    3
  4    1    2    7  190    2    4    2    7   26   13
  2   12    1    1    3   80    2    6    7   35    7
  0   11    1    1    3    2  176    4    6   17   12
  0    7    1    3    0    3    2  179   14   27   25
  7    8    0    5    9    8    5    8  132   28   21
 15   49   25   30   43   20   41   38   30  163    0
"""


def answers_of(matrix: str) -> tuple[list[str], list[str]]:
    """Return predictions and references with these counts; a direction is drawn for each example in turn."""
    found, true = [], []
    directions = ("(e1,e2)", "(e2,e1)")
    for name, line in zip(NAMES.split(), matrix.strip().splitlines(), strict=True):
        *counts, turned = map(int, line.split())
        for other, count in zip(NAMES.split(), counts, strict=True):
            for number in range(count):
                direction = directions[number % 2]
                true.append(name if name == "Other" else name + direction)
                found.append(other if other == "Other" else other + direction)
        for number in range(turned):
            true.append(name + directions[number % 2])
            found.append(name + directions[1 - number % 2])
    return found, true


@pytest.mark.parametrize(("matrix", "micro", "macro"), [(CONVOLUTIONS, 79.99, 79.05), (ANOTHER, 70.13, 69.10)])
def test_f1_is_what_the_official_scorer_printed(matrix, micro, macro):
    found, true = answers_of(matrix)
    labels = sorted({*found, *true})
    assert len(true) == 2717
    assert len(labels) == 19
    assert 100 * score(RelationF1(), found, true, labels) == pytest.approx(macro, abs=0.005)
    assert 100 * score(RelationMicroF1(), found, true, labels) == pytest.approx(micro, abs=0.005)


def test_f1_is_that_of_a_confusion_matrix_of_scikit_learn():
    labels = [*(f"{name}{way}" for name in "ABC" for way in ("(e1,e2)", "(e2,e1)")), "Other"]
    for seed in range(50):
        generator = random.Random(seed)
        true = [*labels, *generator.choices(labels, k=60)]
        found = [each if generator.random() < 0.5 else generator.choice(labels) for each in true]
        assert score(RelationF1(), found, true, labels) == pytest.approx(official_f1(found, true), abs=1e-12)


def test_a_relation_in_the_wrong_direction_is_predicted_and_not_hit():
    found = ["A(e1,e2)", "A(e2,e1)", "Other", "B(e1,e2)"]
    true = ["A(e1,e2)", "A(e1,e2)", "B(e1,e2)", "Other"]
    labels = sorted({*found, *true})
    # A: 1 hit of 2 predicted and 2 true; B: no hit of 1 and 1
    assert score(RelationF1(), found, true, labels) == pytest.approx((2 / 4 + 0) / 2)
    assert score(RelationMicroF1(), found, true, labels) == pytest.approx(2 * 1 / (3 + 3))


def test_no_relation_is_named_otherwise_elsewhere():
    metric = RelationF1(no_relation=("none",))
    assert score(metric, ["Other", "none"], ["Other", "none"], ["Other", "none"]) == 1
    assert score(metric, ["none", "none"], ["none", "none"], ["none"]) == 0
