"""What the champion cannot be compared with is refused with the remedy, not compared wrongly."""

from __future__ import annotations

import json
import re

import pytest
from chat_templates import save_chat_llama
from tiny_models import save_bert, save_labelled

from configs.evaluation import EvaluationConfig
from configs.promotion import PromotionConfig
from lm_modules.evaluation.evaluate import judge
from lm_modules.evaluation.promotion import compare_for_promotion
from lm_modules.heads.chat import Chat
from lm_modules.heads.preference import Preference
from lm_modules.heads.relation_extraction import RelationExtraction
from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.heads.token_classification import TokenClassification
from lm_modules.model.stock import open_tokenizer

CONFIG = PromotionConfig(registered_name="topics", baselines=("random_weights",))


def save_model(base, head, labels, directory, context_length=64):
    network = head.network(base, labels)
    network.save_pretrained(directory)
    head.prepare_tokenizer(open_tokenizer(base, context_length)).save_pretrained(directory)
    (directory / "head.json").write_text(head.model_dump_json())
    return directory


def compared(data, evaluation, champion):
    return compare_for_promotion(CONFIG, replicates=200, evaluation=evaluation, data=data, champion=champion, seed=0)


WORDS = ["animals", "colours", "numbers"]


@pytest.mark.parametrize(
    ("champion", "labels", "said"),
    [
        (TokenClassification(), ["B-place", "O"], "of token_classification, and this one of sequence_classification"),
        (RelationExtraction(), WORDS, "of relation_extraction \\(types False\\), and this one of sequence"),
        (SequenceClassification(multi_label=True), WORDS, "multi_label True\\), and this one of .*multi_label False"),
    ],
    ids=["tags", "relations", "several labels"],
)
def test_a_champion_that_is_asked_for_something_else_is_not_compared(tmp_path, champion, labels, said):
    data, base = save_labelled(tmp_path / "data"), save_bert(tmp_path / "base")
    tuned = save_model(base, SequenceClassification(), WORDS, tmp_path / "tuned")
    other = save_model(base, champion, labels, tmp_path / "champion")
    judge(EvaluationConfig(), data=data, models={"tuned": tuned}, output=tmp_path / "evaluation", seed=0)
    found = compared(data, tmp_path / "evaluation", other)
    assert found["comparisons"] == []
    assert re.search(said, found["incomparable"])
    assert_equal(compared(data, tmp_path / "evaluation", tuned))


def assert_equal(found):
    assert found["incomparable"] is None
    (one,) = found["comparisons"]
    assert (one["difference"], one["better"]) == (0, False)


def test_a_baseline_that_is_better_and_was_not_asked_for_is_told_of_a_model_that_wins(tmp_path):
    data, predictions = tmp_path / "data", tmp_path / "evaluation" / "predictions"
    predictions.mkdir(parents=True)
    data.mkdir()
    (data / "head.json").write_text(SequenceClassification().model_dump_json())
    for name, num_right in {"tuned": 30, "random_weights": 2, "majority": 15, "tfidf": 40}.items():
        rows = [
            {"id": str(number), "group": None, "reference": "ab"[number % 2], "probability": 0.9}
            | {"prediction": "ab"[number % 2] if number < num_right else "ba"[number % 2]}
            for number in range(40)
        ]
        (predictions / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compared(data, tmp_path / "evaluation", None)
    assert [each["baseline"] for each in found["comparisons"]] == ["random_weights"]
    (one,) = found["better_unasked"]
    assert (one["title"], one["baseline"]) == ("TF-IDF with logistic regression", "tfidf")
    assert one["high"] < 0


def save_test(directory, head, fields):
    directory.mkdir()
    row = {"id": "0", **head.checked(fields), "group": None}
    (directory / "test.jsonl").write_text(json.dumps(row) + "\n")
    (directory / "labels.json").write_text("[]")
    (directory / "head.json").write_text(head.model_dump_json())
    return directory


def test_likelihoods_of_other_tokens_are_not_compared(tmp_path):
    said = [{"role": "user", "content": "red"}, {"role": "assistant", "content": "rot"}]
    data = save_test(tmp_path / "data", Chat(), {"messages": said})
    base = save_chat_llama(tmp_path / "base", None)
    whole, cut = (save_model(base, Chat(), (), tmp_path / f"model-{length}", length) for length in (64, 20))
    judge(EvaluationConfig(), data=data, models={"tuned": whole}, output=tmp_path / "evaluation", seed=0)
    found = compared(data, tmp_path / "evaluation", cut)
    assert "another tokenizer, chat template or context_length" in found["incomparable"]
    assert_equal(compared(data, tmp_path / "evaluation", whole))


def test_preferences_are_compared_with_a_champion(tmp_path):
    head = Preference()
    data = save_test(tmp_path / "data", head, {"prompt": "red", "chosen": "rot", "rejected": "blau"})
    model = save_model(save_chat_llama(tmp_path / "base", None), head, (), tmp_path / "model")
    judge(EvaluationConfig(), data=data, models={"tuned": model}, output=tmp_path / "evaluation", seed=0)
    assert_equal(compared(data, tmp_path / "evaluation", model))
