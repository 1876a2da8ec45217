"""What is filed under an MLflow run: settings, figures, texts, tables, data sets and directories.

A directory is filed with its digest, and fetched through this machine's cache. MLflow is imported on first use, because
that takes seconds.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from configs.base import Config
from configs.loading import to_yaml
from tasks import artifact_cache, tracking
from tasks.digests import digest_directory
from tasks.home import tracking_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

LONGEST_PARAMETER = 250
"""Longer values are left to the file config.yaml: as parameters they make MLflow's comparison page unreadable."""


def log_params(run_id: str, params: Mapping[str, object]) -> None:
    """File settings as parameters, flat and dotted; long values are left out.

    MLflow never changes a parameter: one that differs in a reopened run becomes the tag `rootstock.changed.<name>`.
    """
    from mlflow.entities import Param

    known = tracking.client().get_run(run_id).data.params
    flat = {key: str(value) for key, value in flatten(params).items() if len(str(value)) <= LONGEST_PARAMETER}
    for some in tracking.chunks([Param(key, value) for key, value in flat.items() if key not in known], 100):
        tracking.client().log_batch(run_id, params=some)
    changed = {key: value for key, value in flat.items() if known.get(key, value) != value}
    tracking.set_tags(run_id, {f"rootstock.changed.{key}": value for key, value in changed.items()})


def log_config(run_id: str, config: Config) -> None:
    """File the complete settings as config.yaml, which loads back to the same, and the short ones as parameters."""
    file_config(run_id, config)
    log_params(run_id, config.model_dump(mode="json"))


def file_config(run_id: str, config: Config) -> None:
    """File the complete settings as config.yaml only: beside a few parameters by which runs are compared."""
    log_text(run_id, to_yaml(config), "config.yaml")


def log_text(run_id: str, text: str, file: str) -> None:
    """File a text under a name such as `report.md`."""
    tracking.client().log_text(run_id, text, file)


def read_text(run_id: str, file: str) -> str | None:
    """Return the text of a file of a run, or None if it has no such file."""
    folder = str(Path(file).parent) if "/" in file else None
    if file not in {each.path for each in tracking.client().list_artifacts(run_id, folder)}:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return Path(tracking.client().download_artifacts(run_id, file, scratch)).read_text(encoding="utf-8")


def log_preview(run_id: str, workdir: Path) -> None:
    """File the page that a fine-tuning left in its working directory, if its head shows what is learned."""
    if (page := workdir / "preview.html").is_file():
        log_text(run_id, page.read_text(encoding="utf-8"), page.name)


def log_figure(run_id: str, figure: Figure, file: str) -> None:
    """File a matplotlib figure under a name such as `loss.png`."""
    tracking.client().log_figure(run_id, figure, file)


def log_table(run_id: str, rows: Sequence[Mapping[str, Any]], file: str) -> None:
    """File rows under a name such as `predictions.json`, which MLflow shows as a table, in place of an older one."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    data = [[row.get(key) for key in columns] for row in rows]
    log_text(run_id, json.dumps({"columns": columns, "data": data}, ensure_ascii=False), file)
    listed = json.loads(tracking.client().get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]"))
    entry = {"path": file, "type": "table"}
    if entry not in listed:
        tracking.set_tags(run_id, {"mlflow.loggedArtifacts": json.dumps([*listed, entry])})


def log_dataset(run_id: str, name: str, digest: str, context: str, source_uri: str) -> None:
    """Record that a run used a data set, for example in the context `training`."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"uri": source_uri, "sha256": digest})
    dataset = Dataset(name=name, digest=digest[:36], source_type="uri", source=source)  # 36: MLflow's limit
    tracking.client().log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])


def log_metrics(run_id: str, values: Mapping[str, float], step: int = 0) -> None:
    """File a few metrics at once; what training reports goes through `tasks.spool` instead."""
    now_milliseconds = time.time_ns() // 1_000_000
    log_points(run_id, [(key, float(value), now_milliseconds, step) for key, value in values.items()])


def log_points(run_id: str, points: Sequence[tuple[str, float, int, int]]) -> None:
    """Send metric points (name, value, milliseconds, step). Equal points sent twice are stored once.

    Raises ValueError if MLflow refuses them for good, ConnectionError if they may be sent again later.
    """
    from mlflow.entities import Metric

    with _refusals_told_apart(f"metrics of run {run_id}"):
        for some in tracking.chunks([Metric(*point) for point in points], 1000):
            tracking.client().log_batch(run_id, metrics=some)


def send_text(run_id: str, text: str, file: str) -> None:
    """File a text as `log_text` does, with the errors of `log_points`."""
    with _refusals_told_apart(f"{file} of run {run_id}"):
        log_text(run_id, text, file)


@contextmanager
def _refusals_told_apart(what: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"):
            raise ValueError(f"MLflow refused {what}: {error.message}") from error
        raise ConnectionError(f"MLflow did not take {what}: {error.message}") from error


def log_directory(run_id: str, directory: Path, name: str, digest: str | None = None) -> str:
    """File a directory under a run and in this machine's cache; return `runs:/<run id>/<name>`.

    `digest` is that of the directory if the caller knows it already. What an earlier attempt filed there is replaced.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    digest = digest or digest_directory(directory)
    root = tracking.client().get_run(run_id).info.artifact_uri
    if tracking.client().list_artifacts(run_id, name):
        get_artifact_repository(root, tracking_uri=tracking_uri()).delete_artifacts(name)
    tracking.client().log_artifacts(run_id, str(directory), name)
    tracking.set_tags(run_id, {f"rootstock.digest.{name}": digest})
    stored = local_path(root)
    # Links to MLflow's own copy cost no disk; links to the caller's files could change under the cache.
    artifact_cache.fill(
        digest,
        lambda target: artifact_cache.link_or_copy(stored / name, target) if stored else _copy_into(directory, target),
    )
    return f"runs:/{run_id}/{name}"


def find_directory(name: str, digest: str) -> str | None:
    """Return `runs:/<run id>/<name>` if a directory with this digest is filed under this name already, else None."""
    uris = (f"runs:/{each['id']}/{name}" for each in tracking.runs_with_tag(f"rootstock.digest.{name}", digest))
    return next(filter(exists, uris), None)


def fetch_directory(uri: str, digest: str | None = None) -> Path:
    """Return the directory `runs:/<run id>/<name>` on this machine, downloaded only if it is not in the cache."""
    run_id, name = split_runs_uri(uri)
    digest = digest or tracking.client().get_run(run_id).data.tags.get(f"rootstock.digest.{name}")
    if digest is None:
        raise ValueError(f"{uri} was filed without a digest; name the digest of its files to fetch it")
    return artifact_cache.fill(digest, lambda target: _download_run(run_id, name, target))


def take_directory(uri: str, target: Path) -> None:
    """Bring `runs:/<run id>/<name>` to a place here, and remove it from MLflow."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    run_id, name = split_runs_uri(uri)
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    part = target / ".part"
    part.mkdir()
    move_children(Path(tracking.client().download_artifacts(run_id, name, str(part))), target)
    shutil.rmtree(part)
    root = tracking.client().get_run(run_id).info.artifact_uri
    try:
        get_artifact_repository(root, tracking_uri=tracking_uri()).delete_artifacts(name)
    except Exception as error:
        logger.warning("%s stays in MLflow: %s", uri, error)


def _download_run(run_id: str, name: str, target: Path) -> None:
    stored = local_path(tracking.client().get_run(run_id).info.artifact_uri)
    if stored:
        artifact_cache.link_or_copy(stored / name, target)
        return
    part = target / ".part"
    part.mkdir()
    move_children(Path(tracking.client().download_artifacts(run_id, name, str(part))), target)
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
            return bool(tracking.client().list_logged_model_artifacts(uri.removeprefix("models:/"), "artifacts"))
        run_id, name = split_runs_uri(uri)
        if tracking.client().get_run(run_id).info.lifecycle_stage != "active":
            return False
        return bool(tracking.client().list_artifacts(run_id, name))
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
