"""What the champion cannot be compared with is refused with the remedy, not compared wrongly."""

from __future__ import annotations

import json

import pytest
from chat_templates import save_chat_llama
from tiny_models import save_bert, save_labelled

from configs.evaluation import EvaluationConfig
from configs.promotion import PromotionConfig
from lm_modules.evaluation.evaluate import judge
from lm_modules.evaluation.promotion import compare_for_promotion
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


def test_a_champion_of_another_head_is_named(tmp_path):
    data, base = save_labelled(tmp_path / "data"), save_bert(tmp_path / "base")
    labels = ["animals", "colours", "numbers"]
    tuned = save_model(base, SequenceClassification(), labels, tmp_path / "tuned")
    champion = save_model(base, TokenClassification(), ["B-place", "O"], tmp_path / "champion")
    judge(EvaluationConfig(), data=data, models={"tuned": tuned}, output=tmp_path / "evaluation", seed=0)
    with pytest.raises(ValueError, match="champion of topics is a model of token_classification, and this one of seq"):
        compared(data, tmp_path / "evaluation", champion)
    (found,) = compared(data, tmp_path / "evaluation", tuned)
    assert found["difference"] == 0
    assert not found["better"]


def test_likelihoods_of_other_tokens_are_not_compared(tmp_path):
    from lm_modules.heads.chat import Chat

    data = tmp_path / "data"
    data.mkdir()
    said = [{"role": "user", "content": "red"}, {"role": "assistant", "content": "rot"}]
    (data / "test.jsonl").write_text(json.dumps({"id": "0", "messages": said, "group": None}) + "\n")
    (data / "labels.json").write_text("[]")
    (data / "head.json").write_text(Chat().model_dump_json())
    base = save_chat_llama(tmp_path / "base", None)
    whole, cut = (save_model(base, Chat(), (), tmp_path / f"model-{length}", length) for length in (64, 20))
    judge(EvaluationConfig(), data=data, models={"tuned": whole}, output=tmp_path / "evaluation", seed=0)
    with pytest.raises(ValueError, match="another tokenizer, chat template or context_length"):
        compared(data, tmp_path / "evaluation", cut)
    assert compared(data, tmp_path / "evaluation", whole)[0]["difference"] == 0
