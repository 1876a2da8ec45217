"""One fit under a real Prefect server and a real MLflow store, training in a real process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_models import save_labelled, save_llama

from configs.finetuning import FinetuningConfig
from tasks import filing, tracking
from tasks.artifacts import LabelledData, Model
from tasks.caching import content_key
from tasks.finetune import finetune
from tasks.import_base import import_base
from tasks.processes import run_isolated


@pytest.mark.parametrize(("compute", "side_by_side", "threads"), [({}, 2, 4), ({}, 1, 8), ({"threads": 3}, 2, 3)])
def test_fits_side_by_side_share_the_cores(
    tmp_path: Path,
    prefect_server: None,
    monkeypatch: pytest.MonkeyPatch,
    compute: dict[str, Any],
    side_by_side: int,
    threads: int,
) -> None:
    from prefect import flow

    begun = []

    def begin(function: str, arguments: dict[str, Any], **options: Any) -> Any:
        begun.append((arguments["config"].compute.threads, options["threads"]))
        return run_isolated(function, arguments, **options)

    monkeypatch.setattr("tasks.finetune.run_isolated", begin)
    monkeypatch.setattr("tasks.finetune.num_cores", lambda: 8)
    optimization = {"learning_rate": 1e-3, "layer_decay": 1.0, "epochs": 1}
    config = FinetuningConfig(dropout=0.0, context_length=32, compute=compute, optimization=optimization)

    @flow
    def evaluation() -> tuple[Model, str]:
        with tracking.open_run("evaluate", experiment="fits", key=str(tmp_path)) as stage:
            base = import_base.fn(str(save_llama(tmp_path / "base")), stage.id)
            data = LabelledData.file(save_labelled(tmp_path / "data"), run_id=stage.id, name="examples")
            fit = {"seed": threads, "experiment": "fits", "run_id": stage.id, "title": "other split"}
            return finetune(config, base, data, side_by_side=side_by_side, **fit), stage.id

    model, stage_id = evaluation()
    assert begun == [(threads, threads)]
    assert "validation/macro_f1" in model.facts
    (run,) = tracking.child_runs(stage_id)
    assert (filing.read_text(run["id"], "config.yaml") or "").count("threads: null") == (not compute)


def test_what_is_done_beside_it_changes_no_key() -> None:
    assert content_key("finetune", {"seed": 1, "side_by_side": 1}, ()) == content_key(
        "finetune", {"seed": 1, "side_by_side": 2}, ()
    )
    assert content_key("finetune", {"seed": 1, "side_by_side": 1}, ()) != content_key("finetune", {"seed": 2}, ())
