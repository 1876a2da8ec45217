from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow_server import MlflowServer

from lm_modules.progress import TOTAL
from tasks import filing, logged_models, registry, tracking
from tasks.spool import MetricSpool, unsent_runs

TRAINING = """
import sys
from tasks import filing, logged_models, registry, tracking
from tasks.spool import MetricSpool
with tracking.open_run("training", experiment="spool", key="killed") as run:
    spool = MetricSpool(run.id, interval_seconds=0.05)
    for step in range(100_000_000):
        spool.log(step, {"loss": step / 2, "speed": 1.0})
        if step == 300:
            print(run.id, flush=True)
"""


def _history(run_id: str, name: str) -> list[tuple[int, float]]:
    return tracking.metric_history(run_id, name)


def test_a_resumed_training_keeps_one_point_for_a_step() -> None:
    with tracking.open_run("training", experiment="spool", key="resumed") as run:
        with MetricSpool(run.id) as spool:
            for step in range(20):
                spool.log(step, {"loss": float(step)})
        with MetricSpool(run.id) as spool:  # from the checkpoint of step 10
            for step in range(10, 30):
                spool.log(step, {"loss": float(step), "late": 1.0})
    assert _history(run.id, "loss") == [(step, float(step)) for step in range(30)]
    assert len(_history(run.id, "late")) == 20


def test_the_total_that_progress_needs_is_no_metric() -> None:
    with tracking.open_run("training", experiment="spool", key="total") as run:
        with MetricSpool(run.id) as spool:
            spool.log(1, {"loss": 5.0, TOTAL: 10})
            spool.log(2, {TOTAL: 10})
        assert set(tracking.run_info(run.id)["metrics"]) == {"loss"}
    assert _history(run.id, "loss") == [(1, 5.0)]


def test_a_text_is_filed_under_its_name_and_is_no_metric() -> None:
    with tracking.open_run("training", experiment="spool", key="texts") as run:
        with MetricSpool(run.id) as spool:
            spool.log(1, {"loss": 5.0, "samples/step-1.txt": "once upon a time"})
            spool.log(1, {"samples/step-1.txt": "another"})  # repeated after a resume
        with (run.directory / "metrics.sent").open("w") as sent:
            sent.write("0")  # as if killed between sending and noting it
        with MetricSpool(run.id):
            assert run.id in unsent_runs()
    assert set(tracking.run_info(run.id)["metrics"]) == {"loss"}
    assert filing.read_text(run.id, "samples/step-1.txt") == "once upon a time"
    assert run.id not in unsent_runs()


def test_another_machine_learns_from_mlflow_which_steps_are_there() -> None:
    with tracking.open_run("training", experiment="spool", key="moved") as run:
        with MetricSpool(run.id) as spool:
            spool.log(1, {"loss": 5.0})
        for each in run.directory.iterdir():
            each.unlink()
        with MetricSpool(run.id) as spool:
            spool.log(1, {"loss": 6.0})
            spool.log(2, {"loss": 4.0})
    assert _history(run.id, "loss") == [(1, 5.0), (2, 4.0)]


def test_kill_9_loses_no_point_and_doubles_none() -> None:
    process = subprocess.Popen([sys.executable, "-c", TRAINING], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout:
        run_id = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    with tracking.open_run("training", experiment="spool", key="killed") as run:
        assert run.id == run_id
        (run.directory / "metrics.sent").unlink(missing_ok=True)  # as if killed between sending and noting it
        with MetricSpool(run.id) as spool:
            spool.log(100, {"loss": -1.0})  # repeated after the resume
    noted = (run.directory / "metrics.jsonl").read_bytes().count(b"\n")
    assert noted > 300
    assert _history(run.id, "loss") == [(step, step / 2) for step in range(noted)]
    assert len(_history(run.id, "speed")) == noted
    assert run.id not in unsent_runs()


def test_a_torn_line_is_cut_and_what_follows_is_whole() -> None:
    with tracking.open_run("training", experiment="spool", key="torn") as run:
        with MetricSpool(run.id) as spool:
            spool.log(1, {"loss": 1.0})
        with (run.directory / "metrics.jsonl").open("ab") as file:
            file.write(b'{"step": 2, "val')
        with MetricSpool(run.id) as spool:
            spool.log(2, {"loss": float("nan")})
            spool.log(3, {"loss": 3.0})
    assert [step for step, _ in _history(run.id, "loss")] == [1, 2, 3]


def test_metrics_that_mlflow_refuses_do_not_block_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    with (
        tracking.open_run("training", experiment="spool", key="refused") as run,
        MetricSpool(run.id, interval_seconds=0.1) as spool,
    ):
        spool.log(1, {"not a name?": 1.0})
        time.sleep(1)
        spool.log(2, {"loss": 2.0})
    assert "refused metrics" in caplog.text
    assert _history(run.id, "loss") == [(2, 2.0)]


@pytest.mark.slow
def test_a_server_keeps_files_and_models_and_its_outage_neither_blocks_nor_loses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with MlflowServer(tmp_path) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        with tracking.open_run("training", experiment="outage", key="outage") as run:
            url = tracking.run_url(run.id)
            assert url
            assert url.startswith(f"{server.url}/#/experiments/")
            directory = tmp_path / "made"
            directory.mkdir()
            (directory / "file").write_text("through the server")
            uri = filing.log_directory(run.id, directory, "made")
            for each in (tmp_path / "cache").glob("*/file"):
                each.write_text("damaged")
            assert (filing.fetch_directory(uri) / "file").read_text() == "through the server"
            model = logged_models.log_model(run.id, directory, name="any", service="classifier")
            registry.move_champion("served", registry.register("served", model), {}, expected_champion=None)
            assert (logged_models.fetch_model("served@champion") / "file").read_text() == "through the server"
            spool = MetricSpool(run.id, interval_seconds=0.1)
            spool.log(0, {"loss": 0.0})
            time.sleep(1)
            server.kill()
            slowest = 0.0
            for step in range(1, 200):
                started = time.perf_counter()
                spool.log(step, {"loss": float(step)})
                slowest = max(slowest, time.perf_counter() - started)
                time.sleep(0.01)
            assert slowest < 0.5
            assert run.id in unsent_runs()
            server.start()
            assert spool.close()
        assert _history(run.id, "loss") == [(step, float(step)) for step in range(200)]
