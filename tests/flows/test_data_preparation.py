"""What is looked at before the long work of reading and packing a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stock_bases import save_base

from configs.pipeline import PipelineConfig
from flows.data_preparation import data_preparation
from flows.session import _add_directories, _lines
from tasks.home import home
from tasks.report import report_of_run


def test_a_base_that_cannot_be_trained_so_is_refused_before_the_text_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None
) -> None:
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path / "home"))
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 400)
    settings = {
        "name": "early",
        "data_preparation": {"sources": [{"kind": "text_files", "path": str(tmp_path / "text.txt")}], "filters": []},
        "tokenization": {"tokenizer": "pretrained"},
        "pretraining": {
            "base": str(save_base("gpt2", tmp_path / "base")),
            "model": {"context_length": 64},
            "optimization": {"learning_rate": 1e-3, "batch_tokens": 256, "budget_steps": 2},
        },
    }
    with pytest.raises(ValueError, match="context_length 64 is more than the 32 tokens that the base reads"):
        data_preparation(PipelineConfig.model_validate(settings))
    assert not list(home().rglob("corpus"))


def test_the_screen_and_the_card_tell_what_was_lost_and_how_often_each_source_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path / "home"))
    for name in ("a", "b"):
        lines = [json.dumps({"text": f"text {number} of {name} is about this and that"}) for number in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join([*lines, "{torn"] if name == "a" else lines))
    sources = [{"kind": "jsonl", "name": name, "path": str(tmp_path / f"{name}.jsonl")} for name in ("a", "b")]
    settings = {
        "name": "lost",
        "data_preparation": {"sources": sources},
        "tokenization": {"tokenizer": "bytes", "mixing": {"source_weights": {"a": 3, "b": 1}}},
    }
    prepared = data_preparation(PipelineConfig.model_validate(settings))
    value = prepared.model_dump(mode="json")
    assert "1 of 41 of a could not be read or hold no text; see the ledger" in caplog.text
    _add_directories(value)
    (page,) = [line.removeprefix("corpus data card ") for line in _lines(value) if line.startswith("corpus data card")]
    assert "1 of 41 of a could not be read or hold no text" in Path(page).read_text()
    # the corpus is taken over, and the card is of the new tokens
    settings["tokenization"] = {"tokenizer": "characters"}
    value = data_preparation(PipelineConfig.model_validate(settings)).model_dump(mode="json")
    assert value["corpus"]["run_id"] == prepared.corpus.run_id != value["run_id"]
    _add_directories(value)
    (other,) = [line.removeprefix("corpus data card ") for line in _lines(value) if line.startswith("corpus data card")]
    assert value["run_id"] in other
    assert Path(other).read_text() != Path(page).read_text()
    assert "How often training reads the documents" in report_of_run(prepared.corpus.run_id).read_text()
