"""MLflow's runs: opened, continued, ended and found again.

A run is found by its key: the same piece of work, started again after a crash or a cancellation, continues in the run
that it left. Nothing here uses MLflow's "active run", so any number of runs can be open in any threads.
MLflow is imported on first use, because that takes seconds.
"""

from __future__ import annotations

import concurrent.futures
import logging
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import ownership
from tasks.home import MLFLOW_ENVIRONMENT, home, run_directory, tracking_uri, without_credentials
from tasks.locks import file_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

KEY = "rootstock.key"
ERROR = "rootstock.error"
INTERRUPTED = "rootstock.interrupted"
OPENED = "rootstock.opened"
PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Run:
    """An open MLflow run."""

    id: str
    name: str
    experiment: str
    key: str

    @property
    def directory(self) -> Path:
        """The working directory of this run on this machine."""
        return run_directory(self.id)


@contextmanager
def open_run(
    name: str, *, experiment: str, key: str, parent: str | None = None, tags: Mapping[str, str] | None = None
) -> Iterator[Run]:
    """Work in the run with this key: the unfinished one that a dead process left, or else a new one.

    Ends FINISHED; FAILED after an exception, with its first line as a tag; KILLED after a cancellation or Ctrl-C.
    """
    run = _claim(name, experiment, key, parent, dict(tags or {}))
    try:
        yield run
    except BaseException as error:
        cancelled = not isinstance(error, Exception) or isinstance(error, concurrent.futures.CancelledError)
        try:
            finish(run.id, "KILLED" if cancelled else "FAILED", {ERROR: _one_line(error)})
        except Exception as second:  # the first one is what the caller must see; reconcile closes the run later
            logger.warning("could not close the MLflow run %s: %s", run.id, second)
        raise
    finish(run.id)


def _claim(name: str, experiment: str, key: str, parent: str | None, tags: dict[str, str]) -> Run:
    experiment_id = ensure_experiment(experiment)
    claimed = {KEY: key, OPENED: f"{time.time():.3f}", "rootstock.version": code_version(), **ownership.owner_tags()}
    if parent is not None:
        claimed[PARENT] = parent
    with claim_lock(key):
        for found in runs_with_tag(KEY, key, experiment):
            held = found["status"] == "RUNNING" and ownership.may_live(found["tags"])
            if found["status"] != "FINISHED" and not held:
                for stale in {ERROR, INTERRUPTED} & found["tags"].keys():
                    client().delete_tag(found["id"], stale)
                set_tags(found["id"], {**tags, **claimed})
                client().update_run(found["id"], status="RUNNING")
                return Run(found["id"], found["name"], experiment, key)
        created = client().create_run(experiment_id, tags={**tags, **claimed}, run_name=name)
    return Run(created.info.run_id, name, experiment, key)


def claim_lock(key: str) -> AbstractContextManager[None]:
    """Serialise on this machine who opens or closes runs with this key: two processes must not reopen the same run."""
    return file_lock(home() / "locks" / f"run-{sha256(key.encode()).hexdigest()[:32]}.lock")


def finish(run_id: str, status: str = "FINISHED", tags: Mapping[str, str] | None = None) -> None:
    """End a run as FINISHED, FAILED or KILLED, with these tags."""
    set_tags(run_id, tags or {})
    client().set_terminated(run_id, status)


def set_tags(run_id: str, tags: Mapping[str, object]) -> None:
    """Set tags of a run; values are cut at MLflow's limit."""
    from mlflow.entities import RunTag

    for some in chunks([RunTag(key, str(value)[:5000]) for key, value in tags.items()], 100):
        client().log_batch(run_id, tags=some)


def run_url(run_id: str) -> str | None:
    """Return the page of a run on the MLflow server, or None when the store is a local file."""
    if not tracking_uri().startswith("http"):
        return None
    experiment_id = client().get_run(run_id).info.experiment_id
    return f"{without_credentials(tracking_uri()).rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"


def run_info(run_id: str) -> dict[str, Any]:
    """Return id, name, status, experiment_id, tags, params, metrics (last values), start and end (seconds) of a run."""
    return _described(client().get_run(run_id))


def find_run(run_id: str) -> dict[str, Any] | None:
    """Return `run_info` of a run, or None if this store has no such run."""
    from mlflow.exceptions import MlflowException

    try:
        return run_info(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def child_runs(run_id: str) -> list[dict[str, Any]]:
    """Return `run_info` of the runs directly under a run, oldest first."""
    return runs_with_tag(PARENT, run_id)[::-1]


def runs_with_tag(name: str, value: str, experiment: str | None = None) -> list[dict[str, Any]]:
    """Return `run_info` of the runs that carry a tag, newest first, in one experiment or in all."""
    if "'" in value:
        raise ValueError(f"the tag value {value!r} holds a quote, which MLflow's search cannot express; leave it out")
    return search_runs(f"tags.`{name}` = '{value}'", experiment)


def search_runs(condition: str, experiment: str | None = None) -> list[dict[str, Any]]:
    """Return `run_info` of all runs that satisfy an MLflow filter, newest first, in one experiment or in all."""
    if experiment is None:
        experiment_ids = [each.experiment_id for each in client().search_experiments()]
    else:
        experiment_ids = [ensure_experiment(experiment)]
    found, token = [], None
    while True:
        page = client().search_runs(
            experiment_ids, condition, order_by=["attributes.start_time DESC"], page_token=token
        )
        found += [_described(each) for each in page]
        token = page.token
        if not token:
            return found


def metric_history(run_id: str, name: str) -> list[tuple[int, float]]:
    """Return the (step, value) points of a metric in the order of the steps."""
    return sorted((each.step, each.value) for each in client().get_metric_history(run_id, name))


def _described(run: Any) -> dict[str, Any]:
    info = run.info
    return {
        "id": info.run_id,
        "name": info.run_name,
        "status": info.status,
        "experiment_id": info.experiment_id,
        "tags": dict(run.data.tags),
        "params": dict(run.data.params),
        "metrics": dict(run.data.metrics),
        "start": info.start_time / 1000,
        "end": info.end_time / 1000 if info.end_time else None,
    }


def ensure_experiment(name: str) -> str:
    """Return the id of an experiment, made if it is missing and restored if it was deleted."""
    from mlflow.exceptions import MlflowException

    found = client().get_experiment_by_name(name)
    if found is None:
        # A server decides where artifacts lie; for a database file it would be the current directory.
        location = None if tracking_uri().startswith("http") else (home() / "artifacts").as_uri()
        try:
            return client().create_experiment(name, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return ensure_experiment(name)  # another process was quicker
    if found.lifecycle_stage == "deleted":
        client().restore_experiment(found.experiment_id)
    return found.experiment_id


def client() -> MlflowClient:
    """Return the client of the configured store."""
    return _client_of(tracking_uri(), os.getpid())


@cache
def _client_of(uri: str, pid: int) -> MlflowClient:
    os.environ.update({key: value for key, value in MLFLOW_ENVIRONMENT.items() if key not in os.environ})
    from mlflow import MlflowClient

    for noisy, level in (("mlflow", logging.WARNING), ("alembic", logging.WARNING), ("urllib3", logging.ERROR)):
        # Making a database is told in dozens of lines, and every retry of a request is a warning.
        logging.getLogger(noisy).setLevel(level)
    return MlflowClient(uri, uri)


@cache
def code_version() -> str:
    """Return the version of the package, and the commit if it runs from a checkout (`+`: with uncommitted changes)."""
    root = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*", "--abbrev=12"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return version("rootstock")
    return f"{version('rootstock')} ({commit})" if (root / ".git").exists() else version("rootstock")


def _one_line(error: BaseException) -> str:
    lines = without_credentials(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:500]


def chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    """Yield the items so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))
