import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows import services

RUN = """
import os, sys, time
from flows.environment import environment
environment()
from flows.services import local_prefect
with local_prefect() as url:
    print(url, flush=True)
    if sys.argv[1] == "raise":
        raise RuntimeError("in the middle")
    time.sleep(float(sys.argv[1]))
"""


def start(home: Path, how: str) -> subprocess.Popen:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    environment["ROOTSTOCK_HOME"] = str(home)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, how],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def wait_until_gone(processes: list[psutil.Process], seconds: float) -> None:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    assert not alive


def test_the_server_of_a_run_ends_with_it_also_when_it_raises(home):
    process = start(home, "raise")
    url = process.stdout.readline().strip()
    _, err = process.communicate(timeout=60)
    assert url.startswith("http://127.0.0.1:"), err
    assert "in the middle" in err
    assert not services.answers(f"{url}/health")
    assert (home / "prefect" / "prefect.db").is_file()


def test_the_server_of_a_run_ends_by_itself_after_kill_9(home):
    process = start(home, "60")
    url = process.stdout.readline().strip()
    assert services.answers(f"{url}/health")
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until_gone(family, seconds=15)
    assert not services.answers(f"{url}/health")


def test_a_configured_server_is_used_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", "http://example.invalid/api")
    called = []
    with services.local_prefect(meanwhile=lambda: called.append(1)) as url:
        assert url == "http://example.invalid/api"
    assert called == [1]


def test_a_record_of_a_dead_or_another_process_is_not_believed(monkeypatch, tmp_path):
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path))
    assert services.living_servers() is None
    with services.recorded("http://127.0.0.1:9", "http://127.0.0.1:9"):
        assert services.living_servers() is None  # nobody answers
        monkeypatch.setattr(services, "answers", lambda url: True)
        assert services.living_servers().pid == os.getpid()
        record = (tmp_path / "up.json").read_text()
    assert services.living_servers() is None
    (tmp_path / "up.json").write_text(record.replace('"process_started": 1', '"process_started": 2'))
    assert services.living_servers() is None


def test_a_server_that_does_not_start_is_told_with_the_end_of_its_log(monkeypatch, tmp_path):
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path))
    command = [sys.executable, "-c", "raise SystemExit('no such database')"]
    with (
        services.running(command, "broken", {}) as process,
        pytest.raises(services.ServiceError, match="no such database"),
    ):
        services.wait_until_healthy("http://127.0.0.1:9", "broken", process)


def test_a_guarded_command_that_ignores_sigterm_is_killed_with_its_children(monkeypatch, tmp_path):
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path))
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print('ready', flush=True); time.sleep(60)"
    )
    with services.running([sys.executable, "-c", stubborn], "stubborn", {}) as process:
        deadline = time.monotonic() + 20
        while "ready" not in services.log_file("stubborn").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 2
    wait_until_gone(family, seconds=5)
