"""Scores in the unit of the data, whatever that is, and whether or not the last layer has a bias."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pandas
import pytest
import torch
from stock_bases import save_base
from tiny_models import FILLERS, save_bert, save_llama, save_t5
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, pipeline

from configs.evaluation import EvaluationConfig
from configs.finetuning import FinetuningConfig
from lm_modules.data.labelled_examples import read_examples
from lm_modules.evaluation.evaluate import evaluate
from lm_modules.evaluation.predictions import predict_with_directory
from lm_modules.heads.regression import Regression, last_layer
from lm_modules.model.stock import open_tokenizer
from lm_modules.serving.regression_service import RegressionService
from lm_modules.training.finetuning import finetune

torch.set_num_threads(1)
BASES = {"llama": save_llama, "bert": save_bert}
BASES["gpt2"] = lambda directory: save_base("gpt2", directory)


def save_scored(directory: Path, mean: float, deviation: float) -> Path:
    """Texts whose score is told by how many of their words are "dog"."""
    generator = random.Random(0)
    directory.mkdir()
    for split, count in (("train", 160), ("validation", 30), ("test", 30)):
        rows = []
        for number in range(count):
            dogs = generator.randint(0, 4)
            words = ["dog"] * dogs + generator.choices(FILLERS, k=4 - dogs)
            generator.shuffle(words)
            fields = {"text": " ".join(words), "score": mean + deviation * (dogs - 2)}
            rows.append({"id": f"{split}-{number}", **fields, "group": None})
        (directory / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (directory / "labels.json").write_text("[]")
    (directory / "head.json").write_text('{"kind": "regression"}')
    return directory


def settings(adapter: str) -> FinetuningConfig:
    return FinetuningConfig.model_validate(
        {
            "head": "regression",
            "data": {"kind": "jsonl", "path": "unused"},
            "adapter": adapter,
            "dropout": 0.0,
            "context_length": 32,
            "optimization": {"learning_rate": 5e-3, "layer_decay": 1.0, "epochs": 20, "batch_examples": 16},
        }
    )


@pytest.mark.parametrize(
    ("base", "adapter", "mean", "deviation"),
    [
        ("llama", "full", -800.0, 400.0),
        ("llama", "lora", 0.03, 0.01),
        ("bert", "full", 0.03, 0.01),
        ("bert", "lora", -800.0, 400.0),
    ],
)
def test_the_stock_model_answers_in_the_unit_of_the_data(base, adapter, mean, deviation, tmp_path: Path):
    data = save_scored(tmp_path / "data", mean, deviation)
    result = finetune(
        settings(adapter),
        base=BASES[base](tmp_path / "base"),
        data=data,
        workdir=tmp_path / "work",
        seed=0,
        report=lambda step, values: False,
    )
    assert result["validation/r_squared"] > 0.5
    examples = read_examples(data, "test")
    answers = predict_with_directory(result["model"], examples)
    texts = [each.fields["text"] for each in examples]
    stock = pipeline("text-classification", model=result["model"], device="cpu", function_to_apply="none")
    served = RegressionService(result["model"]).predict(pandas.DataFrame({"text": texts}))
    for answer, theirs, ours in zip(answers, stock(texts, truncation=True), served, strict=True):
        assert theirs["score"] == pytest.approx(answer.value, rel=1e-4, abs=1e-4 * deviation)
        assert ours == pytest.approx(answer.value, rel=1e-4, abs=1e-4 * deviation)
    models = {"mean": None, "tuned": Path(result["model"])}
    found = evaluate(EvaluationConfig(), data=data, models=models, output=tmp_path / "found", seed=0)
    scores = {name: entry["metrics"]["r_squared"]["value"] for name, entry in found["models"].items()}
    assert scores["tuned"] > 0.4
    assert scores["mean"] == pytest.approx(0, abs=0.1)
    better = {each["metric"]: each["better"] for each in found["comparisons"]}
    assert better == dict.fromkeys(Regression.metrics, True)


@pytest.mark.parametrize("base", BASES)
def test_saving_changes_the_unit_and_nothing_else(base, tmp_path: Path):
    fields = [{"text": f"dog {number}", "score": 50 + 7 * number} for number in range(5)]
    head = Regression().fitted(fields)
    network = head.network(BASES[base](tmp_path), []).eval()
    tokenizer = open_tokenizer(tmp_path, 32)
    rows = [head.encode(each, tokenizer, [])[0] for each in fields]
    batch = head.collate(rows, tokenizer.pad_token_id)
    before = [each.value for each in head.predict(network, batch)]
    head.make_independent(network)
    after = [each.value for each in Regression().predict(network, batch)]
    assert after == pytest.approx(before, rel=1e-5)
    if last_layer(network).bias is not None:  # it begins at the mean
        assert sum(before) / 5 == pytest.approx(64, abs=10)
    assert Regression().fitted(fields) == head.fitted(fields)
    assert "mean" not in head.model_dump_json()


def test_a_base_that_scores_itself_begins_anew(tmp_path: Path):
    first = Regression().network(save_bert(tmp_path), [])
    torch.nn.init.constant_(last_layer(first).weight, 9.0)
    first.save_pretrained(tmp_path)
    again = Regression().fitted([{"score": 4.0}, {"score": 6.0}]).network(tmp_path, [])
    assert last_layer(again).weight.abs().max() < 0.2
    assert last_layer(again).bias.item() == pytest.approx(5.0)


def test_texts_with_and_without_a_second_one_are_scored_as_in_training(tmp_path: Path):
    for save in (save_llama, save_bert):
        head, base = Regression(), save(tmp_path / save.__name__)
        head.network(base, []).save_pretrained(base)
        rows = [{"text": "a dog", "text_pair": "a cat"}, {"text": "a dog"}, {"text": "a dog", "text_pair": "no"}]
        tokenizer = open_tokenizer(base)
        network = head.auto_class(base).from_pretrained(base).eval()
        expected = [
            head.predict(network, head.collate(head.encode(row, tokenizer, []), tokenizer.pad_token_id))[0].value
            for row in rows
        ]
        assert RegressionService(base).predict(pandas.DataFrame(rows)) == pytest.approx(expected, abs=1e-6)
        assert len({round(each, 5) for each in expected}) == 3
        assert RegressionService(base).predict(pandas.DataFrame([{**rows[1], "text_pair": ""}])) == [
            pytest.approx(expected[1], abs=1e-6)
        ]
    assert head.checked({"text": "a", "text_pair": "", "score": "2"}) == {"text": "a", "score": 2.0}


def test_an_encoder_decoder_learns_from_one_text_and_from_two_in_one_batch(tmp_path: Path):
    head, base = Regression(), save_t5(tmp_path)
    plain = AutoTokenizer.from_pretrained(base)
    end = ("</s>", plain.eos_token_id)
    plain.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[end]
    )
    plain.save_pretrained(base)  # ends as t5-small's tokenizer sets them
    tokenizer = open_tokenizer(base)
    network = head.network(base, [])
    rows = [{"text": "a dog", "text_pair": "a cat", "score": 1.0}, {"text": "a dog", "score": 2.0}]
    encoded = [head.encode(row, tokenizer, [])[0] for row in rows]
    alone = [head.loss(network, head.collate([each], tokenizer.pad_token_id)) for each in encoded]
    together = head.loss(network, head.collate(encoded, tokenizer.pad_token_id))
    torch.testing.assert_close(together, sum(alone) / 2)
    together.backward()
    assert last_layer(network).weight.grad.abs().sum() > 0
    network.save_pretrained(base)
    scores = [each.value for each in head.predict(network.eval(), head.collate(encoded, tokenizer.pad_token_id))]
    assert RegressionService(base).predict(pandas.DataFrame(rows)) == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.1, {"low": 0.0, "high": 0.2}])
def test_a_smoothing_of_labels_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"optimization\.label_smoothing has no effect on regression"):
        FinetuningConfig(
            head="regression",
            data={"kind": "csv", "path": "scores.csv"},
            optimization={"label_smoothing": smoothing},
        )
