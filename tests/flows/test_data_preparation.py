"""What is looked at before the long work of reading and packing a text."""

from __future__ import annotations

from pathlib import Path

import pytest
from stock_bases import save_base

from configs.pipeline import PipelineConfig
from flows.data_preparation import data_preparation
from tasks.home import home


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
