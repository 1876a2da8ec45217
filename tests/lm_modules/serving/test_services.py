"""What each kind of pretrained model answers, once it is a stock directory."""

import importlib
import json

import pytest
import torch
from tiny_pretraining import tiny_config

from configs.component import members
from lm_modules.export.export import export
from lm_modules.training.pretraining import pretrain
from tasks.export import SERVICES

QUESTIONS = {
    "language_model": "the quick brown",
    "fill_mask": "the quick <|mask|>rown fox",
    "text_to_text": "the <|sentinel_0|> fox",
    "token_labels": "the quick brown fox",
}


@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_every_objective_ends_in_a_stock_directory_that_answers(text, tmp_path, kind):
    torch.set_num_threads(1)
    tokens, tokenizer = text
    config = tiny_config(objective=kind, optimization__budget_steps=2)
    trained = pretrain(config, tokens=tokens, tokenizer=tokenizer, workdir=tmp_path, seed=0)
    facts = export(trained["checkpoint"], tokenizer, tmp_path / "model")
    assert facts["max_logit_difference"] <= 1e-4
    service = SERVICES[facts["task"]]
    module = importlib.import_module(f"lm_modules.serving.{service}_service")
    answer = getattr(module, "".join(word.capitalize() for word in f"{service}_service".split("_")))
    question = QUESTIONS[service]
    (said,) = answer(tmp_path / "model").predict([question], {"max_new_tokens": 4} if "text" in service else None)
    assert isinstance(said, str)
    if service == "fill_mask":
        assert "<|mask|>" not in said
        assert said.endswith("rown fox")
    if service == "token_labels":
        labelled = json.loads(said)
        assert "".join(token for token, _, _ in labelled) == question
        assert {label for _, label, _ in labelled} <= {"original", "replaced"}
    if kind == "next_sentence":
        assert (tmp_path / "model" / "next_sentence" / "model.safetensors").is_file()
