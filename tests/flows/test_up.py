"""`rootstock up` as a user starts it: real servers, real deployments, one life for all tests of this file."""

import gc
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from flows import services
from tasks import filing, logged_models, tracking
from tasks.digests import digest_directory

NIGHT = "nightly-finetune"


def environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    return kept | {"ROOTSTOCK_HOME": str(home)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def served(up: services.Servers, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[services.Servers]:
    """This process works with the servers of `up`."""
    monkeypatch.setenv("ROOTSTOCK_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", up.mlflow_url)
    yield up
    from mlflow.utils import request_utils

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # MLflow never closes its connections
        request_utils._cached_get_request_session.cache_clear()
        gc.collect()


@pytest.fixture(scope="module")
def before_up(home: Path) -> tuple[str, str]:
    """A directory and a run that were filed without a server, before `up` was ever started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROOTSTOCK_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return file_directory(home, "before")


@pytest.fixture(scope="module")
def up(home: Path, before_up: tuple[str, str]) -> Iterator[services.Servers]:
    ports = [str(services.free_port()) for _ in range(2)]
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "up", "--prefect-port", ports[0], "--mlflow-port", ports[1]],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            (home / "said").write_text("".join(iter_until(process.stdout, "Ctrl-C")))
            assert "Ctrl-C" in (home / "said").read_text(), process.stderr.read()
            yield services.Servers(process.pid, 0, f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def iter_until(lines: Iterable[str], word: str) -> Iterator[str]:
    """Yield lines up to the first one with a word."""
    for line in lines:
        yield line
        if word in line:
            return


def file_directory(home: Path, text: str) -> tuple[str, str]:
    directory = home / f"made-{text}"
    directory.mkdir()
    (directory / "text.txt").write_text(text)
    with tracking.open_run("test", experiment="round-trip", key=text) as run:
        return filing.log_directory(run.id, directory, "things"), run.id


def fetched(home: Path, uri: str) -> str:
    """Read a filed directory, not from the cache."""
    shutil.rmtree(home / "cache", ignore_errors=True)
    return (filing.fetch_directory(uri) / "text.txt").read_text()


def prefect_rows(home: Path, query: str) -> list[tuple]:
    with sqlite3.connect(home / "prefect" / "prefect.db") as database:
        return database.execute(query).fetchall()


def test_what_was_filed_without_a_server_is_read_through_it_and_the_other_way(served, before_up, home, monkeypatch):
    uri, run_id = before_up
    assert fetched(home, uri) == "before"
    page = f"{served.mlflow_url}/get-artifact?path=things/text.txt&run_uuid={run_id}"
    with urllib.request.urlopen(page) as response:
        assert response.read() == b"before"
    uri, run_id = file_directory(home, "through the server")
    with urllib.request.urlopen(f"{served.mlflow_url}/get-artifact?path=things/text.txt&run_uuid={run_id}") as response:
        assert response.read() == b"through the server"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert fetched(home, uri) == "through the server"


def test_an_experiment_that_the_server_made_is_read_without_it(served, home, monkeypatch):
    tracking.client().create_experiment("made-by-the-server")
    directory = home / "made-there"
    directory.mkdir()
    (directory / "text.txt").write_text("there")
    with tracking.open_run("test", experiment="made-by-the-server", key="there") as run:
        uri = filing.log_directory(run.id, directory, "things")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert fetched(home, uri) == "there"


def test_models_filed_one_way_are_read_the_other_way(served, home, tmp_path, monkeypatch):
    def switch(mode: str) -> None:
        if mode == "embedded":
            monkeypatch.delenv("MLFLOW_TRACKING_URI")
        else:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", served.mlflow_url)

    uris = {}
    for mode in ("served", "embedded"):
        switch(mode)
        directory = tmp_path / mode
        directory.mkdir()
        (directory / "config.json").write_text(f'{{"made": "{mode}"}}')
        with tracking.open_run("test", experiment="round-trip", key=f"model-{mode}") as run:
            uris[mode] = logged_models.log_model(
                run.id,
                directory,
                name="model",
                service="language_model",
                tags={logged_models.DIGEST: digest_directory(directory)},
            )
    for made, read in (("embedded", "served"), ("served", "embedded")):
        switch(read)
        shutil.rmtree(home / "cache")
        assert f'"{made}"' in (logged_models.fetch_model(uris[made]) / "config.json").read_text()


def test_another_command_of_this_home_finds_the_servers(up, home):
    show = "print(url, os.environ['MLFLOW_TRACKING_URI'])"
    code = f"import os; from flows.services import local_prefect\nwith local_prefect() as url: {show}"
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment(home), capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [f"{up.prefect_url}/api", up.mlflow_url]


def test_it_says_how_another_terminal_reaches_it(up, home):
    said = (home / "said").read_text()
    assert f"  export PREFECT_API_URL={up.prefect_url}/api\n" in said
    assert f"  export MLFLOW_TRACKING_URI={up.mlflow_url}\n" in said
    assert "deployments.log" in said


def test_a_second_up_and_a_taken_port_are_refused(up, home, tmp_path):
    command = [sys.executable, "-m", "flows.cli", "up"]
    second = subprocess.run(command, env=environment(home), capture_output=True, text=True)
    assert (second.returncode, "up already" in second.stderr) == (2, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command += ["--prefect-port", port]
        refused = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True)
    assert (refused.returncode, "--prefect-port" in refused.stderr) == (2, True)


def test_only_its_own_pages_may_call_prefect(up):
    request = urllib.request.Request(
        f"{up.prefect_url}/api/flow_runs/filter",
        data=b"{}",
        headers={"Content-Type": "application/json", "Origin": "http://evil.example"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as response:
        assert response.code == 403


def test_every_flow_is_offered_and_the_night_is_scheduled(up, home):
    rows = prefect_rows(home, "select flow.name, deployment.name from deployment join flow on flow.id = flow_id")
    flows = ("data_preparation", "pretraining", "finetuning", "evaluation", "promotion", "pipeline")
    assert {(flow, "demo") for flow in flows} <= set(rows)
    assert ("pipeline", NIGHT) in rows
    assert all(f"{flow}/{name}" in (home / "said").read_text() for flow, name in rows)
    assert prefect_rows(home, "select count(*) from deployment_schedule") == [(1,)]


def test_ctrl_c_cancels_what_runs_and_leaves_nothing_behind(up, home):
    """The last test of this file: it ends `up`."""
    run = "from prefect.deployments import run_deployment; run_deployment('data_preparation/demo', timeout=0)"
    code = f"from flows.services import local_prefect\nwith local_prefect(): {run}"
    subprocess.run([sys.executable, "-c", code], env=environment(home), check=True, capture_output=True)
    deadline = time.monotonic() + 60
    while prefect_rows(home, "select state_name from flow_run") != [("Running",)]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process = psutil.Process(up.pid)
    family = process.children(recursive=True)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs([*family, process], timeout=30)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    assert time.monotonic() - started < 25
    assert prefect_rows(home, "select state_name from flow_run")[0][0] in ("Cancelled", "Crashed")
    assert not (home / "up.json").exists()
    assert not services.answers(f"{up.mlflow_url}/health")
