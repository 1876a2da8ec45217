"""What a corpus is filed under."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.data_preparation import DataPreparationConfig
from configs.pipeline import PipelineConfig
from lm_modules.data.preparation import fingerprint
from tasks.collect import collect
from tasks.stage import stage


def test_a_source_that_changed_since_it_was_fingerprinted_is_filed_under_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None
) -> None:
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path / "home"))
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"text {number} is about this and that"}) for number in range(40)))
    settings = {"sources": [{"kind": "jsonl", "path": str(path)}]}
    config = DataPreparationConfig.model_validate(settings)
    pipeline = PipelineConfig.model_validate({"name": "changed", "data_preparation": settings})
    found = fingerprint(config)
    path.write_text(path.read_text().replace("this", "those"))
    attempts = collect.with_options(retries=0)
    with stage("prepare", pipeline, None) as prepare:
        with pytest.raises(RuntimeError, match="a source changed after it was fingerprinted"):
            attempts(config, found, 0, None, run_id=prepare.run_id)
        corpus = attempts(config, fingerprint(config), 0, None, run_id=prepare.run_id)
        assert corpus.facts["fingerprint"] == fingerprint(config)
