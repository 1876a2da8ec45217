"""What is said of a collection of labelled examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.pipeline import PipelineConfig
from lm_modules.progress import NOTICE
from tasks import tracking
from tasks.collect_examples import MOST_REASONS, labelled_data, left_out


def test_examples_that_are_left_out_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path / "home"))
    found = [{"text": f"text {number} of some", "label": ("good", "bad")[number % 2]} for number in range(60)]
    found += [{"text": " ", "label": "good"}] * 2 + [{"text": "alone", "label": "rare"}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, found)))
    pipeline = PipelineConfig.model_validate(
        {"name": "left-out", "finetuning": {"base": "somewhere", "data": {"kind": "jsonl", "path": str(path)}}}
    )
    assert pipeline.finetuning is not None
    with caplog.at_level(NOTICE), tracking.open_run("finetune", experiment="left-out", key="left-out") as run:
        data = labelled_data(pipeline.finetuning, 0, run.id)
    assert data.facts["num_examples"] == 60
    said = [each for each in caplog.messages if "left out" in each]
    assert said == ["3 labelled examples left out: 2 empty text, 1 only example of its label"]


def test_the_rarer_of_many_reasons_are_summed_up() -> None:
    many = {f"reason {number}": number for number in range(1, MOST_REASONS + 3)}
    line = left_out(many, "entities")
    assert line.startswith("28 labelled examples of entities left out: 7 reason 7, 6 reason 6")
    assert line.endswith("3 for other reasons")
    assert left_out({"copy": 1}) == "1 labelled example left out: 1 copy"
