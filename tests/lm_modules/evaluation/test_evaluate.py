"""The evaluation directory: what is written, and that it equals what other tools find."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import torch
from sklearn.metrics import f1_score
from tiny_models import save_labelled, save_llama

from configs.evaluation import EvaluationConfig, LanguageModelEvaluationConfig
from configs.finetuning import FinetuningConfig
from lm_modules.data.documents import Example
from lm_modules.data.labelled_examples import read_examples
from lm_modules.evaluation.evaluate import doubted_labels, evaluate, held_out_texts, judge_language_model, read_records
from lm_modules.evaluation.predictions import predict, predict_with_directory
from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.model.stock import labels_of, open_model, open_tokenizer
from lm_modules.training.finetuning import finetune
from lm_modules.training.reporting import keep_going

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a base, data, a fine-tuned model and a corpus."""
    root = tmp_path_factory.mktemp("made")
    base, data = save_llama(root / "base"), save_labelled(root / "data")
    config = FinetuningConfig(
        dropout=0.0, context_length=32, optimization={"learning_rate": 1e-2, "layer_decay": 1.0, "epochs": 4}
    )
    result = finetune(config, base=base, data=data, workdir=root / "work", seed=0, report=keep_going)
    (root / "corpus").mkdir()
    texts = ["first text " * 4, "second \N{GREEK SMALL LETTER ALPHA} " * 5, "third"]
    pyarrow.parquet.write_table(
        pyarrow.table({"id": ["a", "b", "c"], "source": ["one", "one", "two/part"], "text": texts}),
        root / "corpus" / "test.parquet",
    )
    return {"base": base, "data": data, "tuned": Path(result["model"]), "corpus": root / "corpus"}


def test_writes_predictions_scores_and_comparisons(made, tmp_path):
    models = {"majority": None, "tfidf": None, "tuned": made["tuned"]}
    language_model = judge_language_model(LanguageModelEvaluationConfig(), made["base"], made["corpus"])
    found = evaluate(
        EvaluationConfig(bootstrap_replicates=200),
        data=made["data"],
        models=models,
        output=tmp_path,
        seed=0,
        other_data=made["data"],
        other_models={"majority": None},
        language_model=language_model,
    )
    assert json.loads((tmp_path / "evaluation.json").read_text()) == found
    assert found["num_examples"] == 30
    for name in models:
        rows = read_records(tmp_path / "predictions" / f"{name}.jsonl")
        value = found["models"][name]["metrics"]["macro_f1"]
        references, predictions = ([row[key] for row in rows] for key in ("reference", "prediction"))
        expected = f1_score(references, predictions, labels=sorted(set(references)), average="macro", zero_division=0)
        assert value["value"] == pytest.approx(expected, abs=1e-12)
        assert value["low"] <= value["value"] <= value["high"]
    pairs = {(each["challenger"], each["baseline"], each["metric"]) for each in found["comparisons"]}
    assert pairs == {("tuned", name, metric) for name in ("majority", "tfidf") for metric in ("macro_f1", "accuracy")}
    of_majority = next(each for each in found["comparisons"] if each["baseline"] == "majority")
    scores = [found["models"][name]["metrics"]["macro_f1"]["value"] for name in ("tuned", "majority")]
    assert of_majority["difference"] == pytest.approx(scores[0] - scores[1])
    assert of_majority["better"]
    assert set(found["other_split"]["models"]) == {"majority"}
    assert found["language_model"] == language_model
    assert language_model["num_documents"] == 3
    assert language_model["fraction_of_xz"] == language_model["bits_per_byte"] / language_model["xz_bits_per_byte"]


def test_tfidf_reads_the_words_that_tell_the_label(made, tmp_path):
    found = evaluate(EvaluationConfig(), data=made["data"], models={"tfidf": None}, output=tmp_path, seed=0)
    assert found["models"]["tfidf"]["metrics"]["accuracy"]["value"] > 0.95
    assert found["comparisons"] == []
    assert found["language_model"] is None


def test_labels_that_a_model_is_sure_are_others_are_listed_without_personal_data():
    head = SequenceClassification()
    texts = ["write to john.smith@gmail.com", "another text", "a third", "a fourth"]
    examples = [Example(str(n), {"text": text, "label": "a"}) for n, text in enumerate(texts)]
    answers = [
        {"id": str(n), "reference": "a", "prediction": prediction, "probability": probability}
        for n, (prediction, probability) in enumerate([("b", 0.95), ("b", 0.5), ("a", 0.99), ("b", 0.97)])
    ]
    found = doubted_labels(head, examples, answers)
    assert [(each["id"], each["prediction"], each["probability"]) for each in found] == [
        ("3", "b", 0.97),
        ("0", "b", 0.95),
    ]
    assert "john" not in found[1]["excerpt"]
    assert found[1]["excerpt"].startswith("write to ")


def test_held_out_texts_are_whole_documents_from_the_start(made):
    texts = held_out_texts(made["corpus"], None)
    assert [len(texts["one"]), len(texts["two/part"])] == [2, 1]
    assert held_out_texts(made["corpus"], 1) == {"one": texts["one"][:1], "two/part": texts["two/part"]}
    assert held_out_texts(made["corpus"], len(texts["one"][0]) + 1) == texts


def test_the_figure_is_that_of_the_sources_that_count(made):
    whole = judge_language_model(LanguageModelEvaluationConfig(), made["base"], made["corpus"])
    part = judge_language_model(LanguageModelEvaluationConfig(sources=("two",)), made["base"], made["corpus"])
    assert part["by_source"] == whole["by_source"]
    assert {name: part[name] for name in whole["by_source"]["two/part"]} == whole["by_source"]["two/part"]
    bits = [each["bits_per_byte"] * each["num_bytes"] for each in whole["by_source"].values()]
    assert whole["bits_per_byte"] == pytest.approx(sum(bits) / whole["num_bytes"])
    with pytest.raises(ValueError, match="name none of the sources"):
        judge_language_model(LanguageModelEvaluationConfig(sources=("three",)), made["base"], made["corpus"])


def test_a_model_without_a_directory_is_named(made, tmp_path):
    with pytest.raises(ValueError, match="no directory for the model 'tuned'"):
        evaluate(EvaluationConfig(), data=made["data"], models={"tuned": None}, output=tmp_path, seed=0)


def test_a_batch_that_does_not_fit_is_asked_in_halves(made):
    class Hungry(SequenceClassification):
        def predict(self, network, batch):
            if len(batch["input_ids"]) > most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().predict(network, batch)

    head, tokenizer = Hungry(), open_tokenizer(made["tuned"])
    network = open_model(head.auto_class(made["tuned"]), made["tuned"])
    examples = read_examples(made["data"], "test")
    encoded = [head.encode(each.fields, tokenizer, labels_of(network)) for each in examples]
    most = 4
    found = predict(head, network, tokenizer, examples, encoded)
    whole = predict_with_directory(made["tuned"], examples)
    assert [each.value for each in found] == [each.value for each in whole]
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        predict(head, network, tokenizer, examples, encoded)
