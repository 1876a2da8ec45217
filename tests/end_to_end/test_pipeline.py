"""The whole road on a small text of our own: every stage real, in minutes."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.loading import load
from tasks import filing, logged_models, tracking
from tasks.stage import REUSED, STAGE

TOPICS = {
    "sea": ["wave", "ship", "harbour", "salt", "tide", "gull", "anchor", "sailor", "reef", "storm"],
    "forest": ["oak", "moss", "fern", "deer", "path", "bark", "owl", "leaf", "root", "shade"],
    "kitchen": ["oven", "flour", "knife", "butter", "spoon", "bread", "salt", "pan", "onion", "soup"],
}
GLUE = ["the", "a", "of", "near", "under", "with", "and", "over", "beside", "from"]
BROKEN_LINES = (7, 250, 801)


def _sentence(topic: str, generator: random.Random) -> str:
    return " ".join(generator.choice(GLUE if i % 2 == 0 else TOPICS[topic]) for i in range(12))


def _write_texts(folder: Path) -> None:
    generator = random.Random(1)
    for index in range(240):
        topic = list(TOPICS)[index % 3]
        path = folder / "texts" / f"{index:03}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(". ".join(_sentence(topic, generator) for _ in range(8)))


def _write_labels(folder: Path) -> None:
    generator = random.Random(2)
    with (folder / "labels.jsonl").open("w") as lines:
        for number in range(1, 1001):
            topic = list(TOPICS)[number % 3]
            row = json.dumps({"sentence": _sentence(topic, generator), "place": topic})
            lines.write((row[: len(row) // 2] if number in BROKEN_LINES else row) + "\n")


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "name": "small",
        "data_preparation": {"sources": [{"kind": "text_files", "path": str(folder / "texts")}], "filters": ["length"]},
        "tokenization": {"tokenizer": {"kind": "byte_bpe", "vocabulary_size": 320}},
        "pretraining": {
            "model": {"width": 32, "depth": 1, "head_width": 16, "context_length": 32},
            "optimization": {"batch_tokens": 512, "budget_steps": 30},
            "compute": {"checkpoint_every_steps": 10, "threads": 1},
            "validation_every_steps": 10,
        },
        "finetuning": {
            "data": {
                "kind": "jsonl",
                "path": str(folder / "labels.jsonl"),
                "columns": {"text": "sentence", "label": "place"},
            },
            "context_length": 32,
            "adapter": "full",
            "dropout": 0.1,
            "optimization": {
                "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
                "epochs": 1,
                "layer_decay": 1.0,
            },
            "tuning": {"trials": 2, "parallel": 2},
        },
        "evaluation": {"bootstrap_replicates": 200},
        "promotion": {"registered_name": "places"},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own_text")
    _write_texts(folder)
    _write_labels(folder)
    (folder / "small.yaml").write_text(yaml.safe_dump(_settings(folder)))
    return folder


@pytest.fixture(scope="module")
def run_id(folder: Path, prefect_server: None) -> str:
    """The MLflow run of one whole pipeline."""
    from flows.pipeline import pipeline

    return pipeline(load(str(folder / "small.yaml"))).run_id


def _stages(run_id: str) -> dict[str, dict[str, Any]]:
    return {each["tags"][STAGE]: each for each in tracking.child_runs(run_id)}


def _result(run_id: str, stage: str) -> dict[str, Any]:
    return json.loads(filing.read_text(_stages(run_id)[stage]["id"], "result.json") or "")


def test_every_stage_has_a_finished_run_that_names_its_prefect_run(run_id: str) -> None:
    stages = _stages(run_id)
    assert list(stages) == ["prepare", "pretrain", "finetune", "evaluate", "promote"]
    assert {each["status"] for each in stages.values()} == {"FINISHED"}
    assert all("prefect.flow_run_id" in each["tags"] for each in stages.values())
    assert {each["tags"]["optuna.state"] for each in tracking.child_runs(stages["finetune"]["id"])} <= {
        "COMPLETE",
        "PRUNED",
    }


def test_the_utilization_is_said_with_what_it_is_made_of(run_id: str) -> None:
    from tasks.artifacts import Pretrained, utilization

    pretrained = Pretrained.model_validate(_result(run_id, "pretrain"))
    trained = pretrained.checkpoint.facts
    words = utilization(trained) or ""
    assert words.startswith(f"MFU {pretrained.figures()['MFU']} = tokens per second x ")
    assert trained["flops_formula"] in words
    assert trained["peak_source"] in words


def test_the_exported_model_needs_only_transformers_and_scores_what_the_report_says(run_id: str, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from lm_modules.data.corpus import read_corpus
    from tasks.artifacts import PreparedData, Pretrained

    directory = Pretrained.model_validate(_result(run_id, "pretrain")).model.local()
    corpus = PreparedData.model_validate(_result(run_id, "prepare")).corpus.local()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)
    texts = [document.text for document in read_corpus(corpus, "test")]
    length = model.config.max_position_embeddings
    stride, nats = length - length // 2, 0.0
    for text in texts:
        ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        scored = 1
        for begin in range(0, len(ids), stride):
            window = torch.tensor([ids[begin : begin + length]])
            with torch.no_grad():
                chances = model(window).logits.log_softmax(-1)[0]
            for place in range(scored, begin + window.shape[1]):
                nats -= chances[place - begin - 1, ids[place]].item()
            scored = begin + window.shape[1]
            if scored >= len(ids):
                break
    reported = _result(run_id, "evaluate")["facts"]["language_model"]["bits_per_byte"]
    assert nats / math.log(2) / sum(len(text.encode()) for text in texts) == pytest.approx(reported, abs=1e-3)


def test_broken_lines_are_named_and_the_rest_is_learned_from(run_id: str) -> None:
    from tasks.artifacts import LabelledData

    data = LabelledData.model_validate(_result(run_id, "finetune")["data"])
    ledger = [json.loads(line) for line in (data.local() / "ledger.jsonl").read_text().splitlines()]
    assert [each["line"] for each in ledger if each["line"]] == list(BROKEN_LINES)
    assert all(each["file"].endswith("labels.jsonl") for each in ledger if each["line"])
    assert data.facts["num_examples"] + sum(data.facts["dropped"].values()) == 1000


def test_the_verdict_is_in_the_registry_and_the_model_answers(run_id: str) -> None:
    verdict = _result(run_id, "promote")
    assert verdict["alias"] in ("champion", "challenger")
    directory = logged_models.fetch_model(f"places@{verdict['alias']}")
    assert json.loads((directory / "config.json").read_text())["architectures"] == ["LlamaForSequenceClassification"]
    assert "macro_f1" in verdict["reason"]


def test_the_report_card_holds_every_section(run_id: str) -> None:
    from tasks.report import report_of_run

    page = report_of_run(run_id).read_text()
    for heading in ("Corpus", "Tokens", "Pretraining", "Samples", "Evaluation", "Promotion", "Lineage"):
        assert f">{heading}<" in page


def test_what_did_not_change_is_reused_and_what_did_is_computed(run_id: str, folder: Path) -> None:
    from flows.pipeline import pipeline

    changed = pipeline(load(str(folder / "small.yaml"), ["finetuning.dropout=0.2"]))
    reused = {name: each["tags"][REUSED] for name, each in _stages(changed.run_id).items()}
    assert reused.pop("promote") == "false"
    assert reused == {"prepare": "true", "pretrain": "true", "finetune": "false", "evaluate": "false"}
    again = pipeline(load(str(folder / "small.yaml")))
    assert {_stages(again.run_id)[name]["tags"][REUSED] for name in reused} == {"true"}


def test_a_night_without_anything_new_says_that_it_was_skipped(run_id: str, folder: Path) -> None:
    from flows.pipeline import pipeline

    night = pipeline(load(str(folder / "small.yaml")), say_when_nothing_is_new=True, return_state=True)
    assert (night.name, night.type.value) == ("Skipped", "COMPLETED")
    assert "no new data, setting or code" in night.message
    other = pipeline(load(str(folder / "small.yaml"), ["finetuning.dropout=0.3"]), True, return_state=True)
    assert other.name == "Completed"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("finetuning.droput=0.2", "did you mean 'dropout'"),
        ("finetuning.data.columns.label=plaec", "place"),
        ("finetuning.data.path=nowhere.jsonl", "nowhere.jsonl"),
        ("data_preparation.sources.0.path=empty", "empty"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(run_id: str, folder: Path, override: str, words: str) -> None:
    (folder / "empty").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "flows.cli", "run", "small.yaml", "--set", override]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1
