"""The servers of this machine: a Prefect server for the length of one run, unless one is there already.

The server of a run uses the database that `rootstock up` shows later, so every run stays visible. It is started through
`flows.guard` and so ends with the run, however the run ends.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from flows import guard
from tasks.home import home
from tasks.locks import file_lock

START_SECONDS = 120.0
STOP_SECONDS = 10.0

FOR_ONE_RUN = {
    # Nobody schedules, triggers or looks at this server: what serves deployments and the UI only costs start-up time.
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
}


class ServiceError(RuntimeError):
    """A server did not start, or died."""


@dataclass(frozen=True)
class Servers:
    """The servers that a living `rootstock up` of this home offers."""

    pid: int
    process_started: float
    prefect_url: str
    mlflow_url: str


@contextmanager
def local_prefect(meanwhile: Callable[[], object] = lambda: None) -> Iterator[str]:
    """Yield the address of a Prefect API that this process now speaks to.

    It is the configured one, else that of a living `rootstock up`, else that of a server started for this block.
    `meanwhile` is called while the server starts: let it import what takes long, Prefect included.
    """
    if configured := os.environ.get("PREFECT_API_URL"):
        meanwhile()
        yield configured
        return
    if servers := living_servers():
        with _variables(
            PREFECT_API_URL=f"{servers.prefect_url}/api",
            PREFECT_UI_URL=servers.prefect_url,
            MLFLOW_TRACKING_URI=os.environ.get("MLFLOW_TRACKING_URI") or servers.mlflow_url,
        ):
            meanwhile()
            yield f"{servers.prefect_url}/api"
        return
    url = f"http://127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        stack.enter_context(_variables(PREFECT_API_URL=f"{url}/api"))
        with file_lock(home() / "prefect" / "start.lock"):  # two that migrate a fresh database at once break it
            server = stack.enter_context(
                running(prefect_command(url), "prefect-server", prefect_variables(url) | FOR_ONE_RUN)
            )
            meanwhile()
            wait_until_healthy(f"{url}/api/health", "prefect-server", server)
        stack.callback(_send_what_is_queued)
        yield f"{url}/api"


@contextmanager
def configured_prefect() -> Iterator[None]:
    """Let this process speak to the Prefect server that others use; a ValueError says that there is none."""
    if not os.environ.get("PREFECT_API_URL") and living_servers() is None:
        raise ValueError("there is no Prefect server that others reach; run `rootstock up`, or set PREFECT_API_URL")
    with local_prefect():
        yield


def prefect_command(url: str) -> list[str]:
    """Return the command that runs a Prefect server at an address."""
    port = url.rpartition(":")[2]
    application = "prefect.server.api.server:create_app"
    options = ["--host", "127.0.0.1", "--port", port, "--timeout-keep-alive", "5", "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", "--factory", application, *options]


def prefect_variables(url: str) -> dict[str, str]:
    """Return the environment of a Prefect server at an address: only its own pages may call it."""
    port = url.rpartition(":")[2]
    return {
        "PREFECT_SERVER_API_PORT": port,
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"{url},http://localhost:{port}",
    }


@contextmanager
def running(command: Sequence[str], name: str, variables: Mapping[str, str]) -> Iterator[subprocess.Popen]:
    """Run a command, guarded, for the length of the block; its words go to `<home>/logs/<name>.log`."""
    log_file(name).parent.mkdir(exist_ok=True)
    with log_file(name).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, *command],
            env={**os.environ, **variables, "ROOTSTOCK_GUARD_PARENT": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:  # the guard is stopped itself (SIGSTOP), or the machine is
            process.kill()
            process.wait()


def wait_until_healthy(url: str, name: str, process: subprocess.Popen) -> None:
    """Wait until a server answers; raises ServiceError with the end of its log when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceError(f"{name} did not start; the end of {log_file(name)}:\n{tail(log_file(name))}")
        time.sleep(0.1)


def living_servers() -> Servers | None:
    """Return the servers of the `rootstock up` of this home, if it lives."""
    import psutil

    try:
        servers = Servers(**json.loads(_record().read_text()))
        if abs(psutil.Process(servers.pid).create_time() - servers.process_started) > 1:
            return None
    except (FileNotFoundError, ValueError, TypeError, psutil.Error):
        return None
    return servers if answers(f"{servers.prefect_url}/api/health") else None


@contextmanager
def recorded(prefect_url: str, mlflow_url: str) -> Iterator[None]:
    """Let other commands of this home find the servers of this process for the length of the block."""
    import psutil

    servers = Servers(os.getpid(), psutil.Process().create_time(), prefect_url, mlflow_url)
    partial = _record().with_suffix(".partial")
    partial.write_text(json.dumps(asdict(servers)))
    partial.replace(_record())
    try:
        yield
    finally:
        _record().unlink(missing_ok=True)


def answers(url: str) -> bool:
    """Tell whether a server answers at this address."""
    with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=5) as response:
        return bool(response.status == 200)
    return False


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def log_file(name: str) -> Path:
    """Return where the words of a server go."""
    return home() / "logs" / f"{name}.log"


def tail(path: Path, num_lines: int = 12) -> str:
    """Return the last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-num_lines:])


def _record() -> Path:
    return home() / "up.json"


@contextmanager
def _variables(**variables: str) -> Iterator[None]:
    """Set environment variables for the length of the block."""
    before = {key: os.environ.get(key) for key in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


def _send_what_is_queued() -> None:
    """Hand the server what Prefect's client still holds back: log lines and the last states of tasks."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=STOP_SECONDS, at_exit=False)
