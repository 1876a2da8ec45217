"""The task around a training run: what reaches MLflow, also when it is away for a while."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import MlflowServer
from prefect import flow
from tiny_pretraining import make_tokens, tiny_config

from tasks import filing, progress, tracking
from tasks.artifacts import Checkpoint, Tokenizer, Tokens
from tasks.pretrain import pretrain
from tasks.spool import unsent_runs

AWAY, BACK, STEPS = 60, 140, 200


class Outage:
    """Listens to the bar of the training, which waits for it: the server dies at a step and comes back at another."""

    def __init__(self, server: MlflowServer) -> None:
        self.server = server
        self.unsent: list[str] = []
        self.notes: list[str] = []

    def stage_started(self, name: str) -> None: ...

    def stage_ended(self, shown: progress.Shown, seconds: float, succeeded: bool) -> None: ...

    def bar_ended(self, bar: progress.Bar) -> None: ...

    def bar_moved(self, bar: progress.Bar) -> None:
        self.notes = bar.notes()
        if bar.completed == AWAY:
            self.server.kill()
        elif bar.completed == BACK and not self.unsent:
            self.unsent = unsent_runs()
            self.server.start()


@pytest.mark.slow
def test_a_server_that_dies_in_mid_run_and_comes_back_has_every_point_and_text_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None
) -> None:
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    tokens, tokenizer = make_tokens(tmp_path)
    config = tiny_config(
        optimization__budget_steps=STEPS, validation_every_steps=20, compute__progress_every_seconds=0.0
    )

    @flow
    def train() -> Checkpoint:
        with tracking.open_run("pretrain", experiment="outage", key="outage") as run:
            filed: dict[str, Any] = {"run_id": run.id, "experiment": "outage"}
            filed["tokens"] = Tokens.file(tokens, run_id=run.id, name="tokens")
            filed["tokenizer"] = Tokenizer.file(tokenizer, run_id=run.id, name="tokenizer")
            return pretrain(config, base=None, seed=1, **filed)

    with MlflowServer(tmp_path) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        outage = Outage(server)
        with progress.listen(outage):
            checkpoint = train()
        run_id = checkpoint.run_id
        assert outage.unsent == [run_id]
        assert not unsent_runs()
        noted: dict[str, dict[int, float | str]] = {}
        for line in (tmp_path / "runs" / run_id / "metrics.jsonl").read_text().splitlines():
            record = json.loads(line)
            for name, value in record["values"].items():
                assert record["step"] not in noted.setdefault(name, {})
                noted[name][record["step"]] = value
        assert set(noted["train/loss"]) == set(range(1, STEPS + 1))
        for name, points in noted.items():
            if name.endswith(".txt"):
                assert [filing.read_text(run_id, name)] == list(points.values())
            else:
                assert tracking.metric_history(run_id, name) == sorted(points.items())
        samples = [name for name in noted if name.startswith("samples/")]
        assert samples == [f"samples/step-{step:08d}.txt" for step in range(20, STEPS + 1, 20)]
        assert set(tracking.run_info(run_id)["metrics"]) == {name for name in noted if not name.endswith(".txt")}
    assert checkpoint.facts["mfu"] > 0
    assert [note.split(" ")[0] for note in outage.notes if "tokens/s" not in note] == ["loss", "bits", "MFU", "data"]
