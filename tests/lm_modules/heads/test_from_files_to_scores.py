"""From a file of examples to a judged model: collected, fine-tuned, evaluated beside its baseline."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from beside_sets import LIVES, write_sets
from tiny_models import save_bert, save_llama

from configs.component import members
from configs.evaluation import EvaluationConfig
from configs.finetuning import FinetuningConfig
from lm_modules.data.labelled_data import collect
from lm_modules.evaluation.evaluate import evaluate
from lm_modules.training.finetuning import finetune
from lm_modules.training.reporting import keep_going

torch.set_num_threads(1)


def sentences(path: Path) -> dict:
    """Write words in CoNLL's format, of which those with a capital are people."""
    generator = random.Random(0)
    lines = []
    for _ in range(90):
        words = generator.choices(["met", "saw", "Ada", "Bo", "and", "Cy"], k=generator.randint(2, 6))
        lines += [f"{word}\t{'B-person' if word[0].isupper() else 'O'}" for word in words] + [""]
    path.with_suffix(".conll").write_text("\n".join(lines))
    return {"kind": "conll", "path": str(path.with_suffix(".conll"))}


def pairs(path: Path) -> dict:
    """Write pairs that are related if a sign is between them."""
    rows = []
    for number in range(120):
        between = ("&&&", "or")[number % 2]
        text = f"<e1>{number % 10}</e1> {between} <e2>{number // 10}</e2>"
        rows.append({"text": text, "label": "With(e1,e2)" if number % 2 == 0 else "Other"})
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"kind": "jsonl", "path": str(path.with_suffix(".jsonl"))}


@pytest.mark.parametrize(
    ("kind", "write", "baseline"),
    [("token_classification", sentences, "frequent_tag"), ("relation_extraction", pairs, "majority")],
)
def test_a_file_ends_in_scores_beside_those_of_the_baseline(kind, write, baseline, tmp_path):
    config = FinetuningConfig(
        data=write(tmp_path / "examples"),
        head=kind,
        dropout=0.0,
        context_length=64,
        optimization={"learning_rate": 3e-3, "layer_decay": 1.0, "epochs": 8, "batch_examples": 8},
    )
    report = collect(config.data, config.head, tmp_path / "data", seed=0)
    assert set(report["labels"]) == set(json.loads((tmp_path / "data" / "labels.json").read_text()))
    base = save_bert(tmp_path / "base")
    result = finetune(config, base=base, data=tmp_path / "data", workdir=tmp_path / "work", seed=0, report=keep_going)
    judged = evaluate(
        EvaluationConfig(bootstrap_replicates=200, language_model=None),
        data=tmp_path / "data",
        models={"tuned": Path(result["model"]), baseline: None},
        output=tmp_path / "evaluation",
        seed=0,
    )
    tuned, beside = (judged["models"][name]["metrics"] for name in ("tuned", baseline))
    assert tuple(tuned) == members("lm_modules.heads")[kind].metrics
    first = next(iter(tuned))
    assert tuned[first]["value"] > 0.9
    assert 0 <= beside[first]["value"] <= 1
    assert tuned[first]["low"] <= tuned[first]["value"] <= tuned[first]["high"]
    card = (Path(result["model"]) / "README.md").read_text()
    assert f"| {first} |" in card


def test_two_heads_on_one_backbone_end_in_scores_and_relations_of_a_raw_text(tmp_path, monkeypatch):
    """What is registered needs nothing of ours: it is opened and asked as MLflow serves it."""
    import mlflow
    import pandas

    from lm_modules.serving.relations_in_text import RelationsInText
    from tasks import logged_models, tracking
    from tasks.artifacts import Evaluation
    from tasks.home import tracking_uri

    quick = {"learning_rate": 3e-3, "layer_decay": 1.0, "epochs": 8, "batch_examples": 8}
    config = FinetuningConfig.model_validate(
        {**write_sets(tmp_path / "sets", 150), "dropout": 0.0, "context_length": 64, "optimization": quick}
    )
    beside = {name: (each.data, each.head) for name, each in config.beside.items()}
    data = tmp_path / "data"
    collect(config.data, config.head, data, seed=0, beside=beside)
    base = save_llama(tmp_path / "base")
    result = finetune(config, base=base, data=data, workdir=tmp_path / "work", seed=0, report=keep_going)
    model = Path(result["model"])
    judged = evaluate(
        EvaluationConfig(bootstrap_replicates=200, language_model=None, metrics=["relation_f1"]),
        data=data,
        models={"majority": None, "tuned": model},
        output=tmp_path / "evaluation",
        seed=0,
    )
    entities = judged["beside"]["entities"]
    assert set(entities["models"]) == {"frequent_tag", "tuned"}
    score = entities["models"]["tuned"]["metrics"]["entity_f1"]
    assert score["value"] > 0.9
    assert score["low"] <= score["value"] <= score["high"]
    assert (tmp_path / "evaluation" / "beside" / "entities" / "predictions" / "tuned.jsonl").is_file()
    filed = Evaluation(uri="", digest="", run_id="", facts=judged).figures()
    assert filed["beside/entities/entity_f1"] == score["value"]
    raw = judged["models"]["tuned"]["raw_texts"]
    assert judged["models"]["majority"]["raw_texts"] is None
    asked_for = {each["text"]: each for each in map(json.loads, (data / "test.jsonl").read_text().splitlines())}
    in_text, right = RelationsInText(model / "beside" / "entities", model), 0
    relations = {text: in_text.find(text) for text in asked_for}
    for text, found in relations.items():
        said = {(each["head"]["text"], each["tail"]["text"]) for each in found}
        ends = tuple(text[slice(*asked_for[text][end])] for end in ("head", "tail"))
        right += asked_for[text]["label"] == LIVES and ends in said
    assert raw["num_texts"] == len(asked_for)
    assert (raw["right"], raw["found"]) == (right, sum(map(len, relations.values())))
    assert raw["true"] == sum(each["label"] == LIVES for each in asked_for.values())
    assert 0 < raw["right"] < raw["true"]  # who stands behind the place is asked for the other way round
    assert raw["f1"]["value"] == pytest.approx(2 * raw["right"] / (raw["found"] + raw["true"]))
    assert filed["f1_in_raw_texts of tuned"] == raw["f1"]["value"]
    assert filed["relation_f1 of tuned"] == judged["models"]["tuned"]["metrics"]["relation_f1"]["value"]

    with tracking.open_run("make", experiment="beside", key="make") as run:
        uri = logged_models.log_model(run.id, model, name="tuned", service=config.head.service)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri())
    asked = ["Ada is in Rome abc", "<e1>Ada</e1> is in <e2>Rome</e2> abc", "<e1>Bo</e1> left <e2>Kent</e2> cab"]
    raw, *pairs = mlflow.pyfunc.load_model(uri).predict(pandas.DataFrame({"text": asked}))
    (relation,) = raw["relations"]
    assert (relation["head"]["text"], relation["tail"]["text"], relation["label"]) == ("Ada", "Rome", LIVES)
    assert relation["head"]["type"] == "person"
    assert relation["probability"] == pytest.approx(pairs[0]["probability"], abs=1e-5)
    assert [each["label"] for each in pairs] == [LIVES, "Other"]
    assert RelationsInText(model / "beside" / "entities", model).find(asked[0]) == raw["relations"]


def test_a_model_of_relations_alone_asks_for_the_marks(tmp_path):
    from lm_modules.serving.relation_service import RelationService

    sets = write_sets(tmp_path / "sets", 60)
    config = FinetuningConfig.model_validate(
        {**sets, "beside": {}, "dropout": 0.0, "context_length": 64}
        | {"optimization": {"learning_rate": 1e-3, "layer_decay": 1.0, "epochs": 1}}
    )
    collect(config.data, config.head, tmp_path / "data", seed=0)
    assert not (tmp_path / "data" / "beside").exists()
    base = save_bert(tmp_path / "base")
    result = finetune(config, base=base, data=tmp_path / "data", workdir=tmp_path / "work", seed=0, report=keep_going)
    service = RelationService(result["model"])
    with pytest.raises(ValueError, match="once each"):
        service.predict(["Ada is in Rome"])
    with pytest.raises(ValueError, match="learned no entities beside"):
        service.relations("Ada is in Rome")
