"""Runs, and what is filed under them: the only way to MLflow beside the registry.

A run is found by its key: the same piece of work, started again after a crash or a cancellation, continues in the run
that it left. Nothing here uses MLflow's "active run", so any number of runs can be open in any threads.
MLflow is imported on first use, because that takes seconds.
"""

from __future__ import annotations

import concurrent.futures
import json
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from configs.base import Config
from configs.loading import to_yaml
from tasks import artifact_cache, ownership
from tasks.digests import digest_directory
from tasks.home import MLFLOW_ENVIRONMENT, home, run_directory, tracking_uri, without_credentials
from tasks.locks import file_lock

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

KEY = "rootstock.key"
ERROR = "rootstock.error"
INTERRUPTED = "rootstock.interrupted"
OPENED = "rootstock.opened"
PARENT = "mlflow.parentRunId"

LONGEST_PARAMETER = 250
"""Longer values are left to the file config.yaml: as parameters they make MLflow's comparison page unreadable."""


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

    for some in _chunks([RunTag(key, str(value)[:5000]) for key, value in tags.items()], 100):
        client().log_batch(run_id, tags=some)


def log_params(run_id: str, params: Mapping[str, object]) -> None:
    """File settings as parameters, flat and dotted; long values are left out.

    MLflow never changes a parameter: one that differs in a reopened run becomes the tag `rootstock.changed.<name>`.
    """
    from mlflow.entities import Param

    known = client().get_run(run_id).data.params
    flat = {key: str(value) for key, value in flatten(params).items() if len(str(value)) <= LONGEST_PARAMETER}
    for some in _chunks([Param(key, value) for key, value in flat.items() if key not in known], 100):
        client().log_batch(run_id, params=some)
    changed = {key: value for key, value in flat.items() if known.get(key, value) != value}
    set_tags(run_id, {f"rootstock.changed.{key}": value for key, value in changed.items()})


def log_config(run_id: str, config: Config) -> None:
    """File the complete settings as config.yaml, which loads back to the same, and the short ones as parameters."""
    file_config(run_id, config)
    log_params(run_id, config.model_dump(mode="json"))


def file_config(run_id: str, config: Config) -> None:
    """File the complete settings as config.yaml only: beside a few parameters by which runs are compared."""
    log_text(run_id, to_yaml(config), "config.yaml")


def log_text(run_id: str, text: str, file: str) -> None:
    """File a text under a name such as `report.md`."""
    client().log_text(run_id, text, file)


def read_text(run_id: str, file: str) -> str | None:
    """Return the text of a file of a run, or None if it has no such file."""
    if file not in {each.path for each in client().list_artifacts(run_id)}:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return Path(client().download_artifacts(run_id, file, scratch)).read_text(encoding="utf-8")


def log_figure(run_id: str, figure: Figure, file: str) -> None:
    """File a matplotlib figure under a name such as `loss.png`."""
    client().log_figure(run_id, figure, file)


def log_table(run_id: str, rows: Sequence[Mapping[str, Any]], file: str) -> None:
    """File rows under a name such as `predictions.json`, which MLflow shows as a table, in place of an older one."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    data = [[row.get(key) for key in columns] for row in rows]
    log_text(run_id, json.dumps({"columns": columns, "data": data}, ensure_ascii=False), file)
    listed = json.loads(client().get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]"))
    entry = {"path": file, "type": "table"}
    if entry not in listed:
        set_tags(run_id, {"mlflow.loggedArtifacts": json.dumps([*listed, entry])})


def log_dataset(run_id: str, name: str, digest: str, context: str, source_uri: str) -> None:
    """Record that a run used a data set, for example in the context `training`."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"uri": source_uri, "sha256": digest})
    dataset = Dataset(name=name, digest=digest[:36], source_type="uri", source=source)  # 36: MLflow's limit
    client().log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])


def log_metrics(run_id: str, values: Mapping[str, float], step: int = 0) -> None:
    """File a few metrics at once; what training reports goes through `tasks.spool` instead."""
    now_milliseconds = time.time_ns() // 1_000_000
    log_points(run_id, [(key, float(value), now_milliseconds, step) for key, value in values.items()])


def log_points(run_id: str, points: Sequence[tuple[str, float, int, int]]) -> None:
    """Send metric points (name, value, milliseconds, step). Equal points sent twice are stored once.

    Raises ValueError if MLflow refuses them for good, ConnectionError if they may be sent again later.
    """
    from mlflow.entities import Metric
    from mlflow.exceptions import MlflowException

    try:
        for some in _chunks([Metric(*point) for point in points], 1000):
            client().log_batch(run_id, metrics=some)
    except MlflowException as error:
        if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"):
            raise ValueError(f"MLflow refused metrics of run {run_id}: {error.message}") from error
        raise ConnectionError(f"MLflow did not take metrics of run {run_id}: {error.message}") from error


def log_directory(run_id: str, directory: Path, name: str, digest: str | None = None) -> str:
    """File a directory under a run and in this machine's cache; return `runs:/<run id>/<name>`.

    `digest` is that of the directory if the caller knows it already. What an earlier attempt filed there is replaced.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    digest = digest or digest_directory(directory)
    root = client().get_run(run_id).info.artifact_uri
    if client().list_artifacts(run_id, name):
        get_artifact_repository(root, tracking_uri=tracking_uri()).delete_artifacts(name)
    client().log_artifacts(run_id, str(directory), name)
    set_tags(run_id, {f"rootstock.digest.{name}": digest})
    stored = local_path(root)
    # Links to MLflow's own copy cost no disk; links to the caller's files could change under the cache.
    artifact_cache.fill(
        digest,
        lambda target: artifact_cache.link_or_copy(stored / name, target) if stored else _copy_into(directory, target),
    )
    return f"runs:/{run_id}/{name}"


def find_directory(name: str, digest: str) -> str | None:
    """Return `runs:/<run id>/<name>` if a directory with this digest is filed under this name already, else None."""
    uris = (f"runs:/{each['id']}/{name}" for each in runs_with_tag(f"rootstock.digest.{name}", digest))
    return next(filter(exists, uris), None)


def fetch_directory(uri: str, digest: str | None = None) -> Path:
    """Return the directory `runs:/<run id>/<name>` on this machine, downloaded only if it is not in the cache."""
    run_id, name = split_runs_uri(uri)
    digest = digest or client().get_run(run_id).data.tags.get(f"rootstock.digest.{name}")
    if digest is None:
        raise ValueError(f"{uri} was filed without a digest; name the digest of its files to fetch it")
    return artifact_cache.fill(digest, lambda target: _download_run(run_id, name, target))


def _download_run(run_id: str, name: str, target: Path) -> None:
    stored = local_path(client().get_run(run_id).info.artifact_uri)
    if stored:
        artifact_cache.link_or_copy(stored / name, target)
        return
    part = target / ".part"
    part.mkdir()
    move_children(Path(client().download_artifacts(run_id, name, str(part))), target)
    shutil.rmtree(part)


def move_children(source: Path, target: Path) -> None:
    """Move everything in one directory into another."""
    for each in list(source.iterdir()):
        each.rename(target / each.name)


def _copy_into(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def exists(uri: str) -> bool:
    """Tell whether MLflow still has an artifact (`runs:/...` or `models:/m-...`), without fetching it."""
    from mlflow.exceptions import MlflowException

    try:
        if uri.startswith("models:/m-"):
            return bool(client().list_logged_model_artifacts(uri.removeprefix("models:/"), "artifacts"))
        run_id, name = split_runs_uri(uri)
        if client().get_run(run_id).info.lifecycle_stage != "active":
            return False
        return bool(client().list_artifacts(run_id, name))
    except (MlflowException, OSError) as error:
        if getattr(error, "error_code", "RESOURCE_DOES_NOT_EXIST") == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def split_runs_uri(uri: str) -> tuple[str, str]:
    """Return the run id and the name in `runs:/<run id>/<name>`."""
    scheme, _, rest = uri.partition(":/")
    run_id, _, name = rest.strip("/").partition("/")
    if scheme != "runs" or not name:
        raise ValueError(f"{uri!r} is not of the form runs:/<run id>/<name>")
    return run_id, name


def local_path(artifact_uri: str) -> Path | None:
    """Return the path of an artifact location that lies on this machine's file system, else None."""
    parsed = urlparse(artifact_uri)
    return Path(unquote(parsed.path)) if parsed.scheme in ("", "file") else None


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


def flatten(values: Mapping[str, Any] | Sequence[Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as one mapping with dotted keys: `{"a": [{"b": 1}]}` is `{"a.0.b": 1}`."""
    flat: dict[str, Any] = {}
    items = values.items() if isinstance(values, Mapping) else enumerate(values)
    for key, value in items:
        if isinstance(value, Mapping) or (isinstance(value, list | tuple) and value):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _one_line(error: BaseException) -> str:
    lines = without_credentials(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:500]


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
