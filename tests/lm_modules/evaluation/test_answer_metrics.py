"""Metrics of answers beside those of torchmetrics, and by the rules of the scripts of SQuAD 2.0."""

import random

import pytest
from torchmetrics.functional.text import squad

from lm_modules.evaluation.metrics.answer_f1 import AnswerF1
from lm_modules.evaluation.metrics.exact_match import ExactMatch
from lm_modules.evaluation.scores import score

WORDS = ["The", "a", "an", "fox", "Fox.", "brown", "quick-ish", "dog's", "—", "São", "3.5", "東京", "lazy"]


@pytest.mark.parametrize("seed", range(3))
def test_equal_the_script_of_squad_as_torchmetrics_has_it(seed):
    generator = random.Random(seed)
    references = [
        [
            " ".join(["fox", *generator.choices(WORDS, k=generator.randint(0, 4))])
            for _ in range(generator.randint(1, 3))
        ]
        for _ in range(300)
    ]
    predictions = [
        generator.choice([generator.choice(right).upper(), " ".join(generator.choices(WORDS, k=3)), ""])
        for right in references
    ]
    theirs = squad(
        [{"prediction_text": each, "id": str(number)} for number, each in enumerate(predictions)],
        [
            {"answers": {"text": each, "answer_start": [0] * len(each)}, "id": str(number)}
            for number, each in enumerate(references)
        ],
    )
    assert 0.1 < score(ExactMatch(), predictions, references, []) < 0.9
    assert score(ExactMatch(), predictions, references, []) == pytest.approx(theirs["exact_match"].item() / 100, 1e-6)
    assert score(AnswerF1(), predictions, references, []) == pytest.approx(theirs["f1"].item() / 100, 1e-6)


@pytest.mark.parametrize(
    ("prediction", "references", "exact", "f1"),
    [
        ("", [], 1, 1),  # rightly nothing
        ("fox", [], 0, 0),
        ("", ["fox"], 0, 0),
        ("the", [], 1, 1),  # without articles nothing is left of it
        ("", ["the", "..."], 1, 1),  # answers without words are none
        ("the", ["the", "fox"], 0, 0),
        ("The fox!", ["fox", "a dog"], 1, 1),
        ("brown fox", ["fox", "quick fox and dog"], 0, 2 / 3),
        ("fox fox", ["fox"], 0, 2 / 3),
        ("well-known", ["well known"], 0, 0),  # punctuation is taken out, not replaced
        ("an-other", ["another"], 1, 1),
        ("THE END", ["end"], 1, 1),
    ],
)
def test_follow_the_rules_of_squad_2(prediction, references, exact, f1):
    assert score(ExactMatch(), [prediction], [references], []) == exact
    assert score(AnswerF1(), [prediction], [references], []) == pytest.approx(f1)
