"""With what the sweep of a pipeline begins, on a real registry."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from configs.pipeline import PipelineConfig
from tasks import filing, registry, tracking
from tasks.artifacts import Finetuned, LabelledData, Model
from tasks.stage import RESULT
from tasks.sweep_result import SweepResult
from tasks.tune_model import CONFIG, _champions_settings

NOTHING = {"digest": "0" * 64, "run_id": "none", "uri": "runs:/none/none"}


def crown(tmp_path: Path, name: str, finetuning: dict[str, Any], values: dict[str, Any]) -> str:
    """Make a champion of a sweep that has found the values; return its run."""
    (tmp_path / "config.json").write_text("{}")
    with tracking.open_run("finetune", experiment="champions", key=name) as run:
        model = Model.log(tmp_path, run_id=run.id, name="tuned", service="classifier")
        sweep = SweepResult(study="s", metric="m", direction="maximize", trials=())
        found = Finetuned(model=model, data=LabelledData(**NOTHING), base=Model(**NOTHING), values=values, sweep=sweep)
        filing.log_config(run.id, PipelineConfig.model_validate({"finetuning": {"base": "a/model", **finetuning}}))
        filing.log_text(run.id, found.model_dump_json(), RESULT)
    registry.move_champion(name, registry.register(name, model.uri), {})
    return run.id


def test_a_warm_start_begins_with_what_the_champion_searched_and_what_it_had_fixed(tmp_path):
    values = {"adapter": "lora", "optimization.epochs": 2}
    crown(tmp_path, "searched", {"adapter": {"choices": ["full", "lora"]}, "dropout": 0.2}, values)
    (settings,) = _champions_settings("searched")
    assert (settings.adapter.kind, settings.optimization.epochs, settings.dropout) == ("lora", 2, 0.2)
    assert _champions_settings("nobody") == _champions_settings(None) == []


def test_a_champion_whose_settings_are_no_longer_understood_stops_nothing(tmp_path, caplog):
    run_id = crown(tmp_path, "older", {}, {})
    with caplog.at_level(logging.WARNING):
        filing.log_text(run_id, "finetuning: {base: a/model, forgotten: 1}\n", CONFIG)
        assert _champions_settings("older") == []
    assert "the champion of older are not tried first" in caplog.text
