"""Models in MLflow: logged as they are, registered under a name, and the aliases that say which one counts.

A model is logged around its stock Hugging Face directory, which is copied as it is and never pickled:

    models:/m-<id>
      artifacts/<name of the directory>/    what `transformers` opens
      code/rootstock_serving_<digest>/      how it answers (`lm_modules/serving/*_service.py`)
      model.py, MLmodel, requirements.txt   MLflow's side

Aliases: `champion` counts, `previous` is what it replaced, `challenger` did not win.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import lm_modules.serving
from tasks import artifact_cache, tracking
from tasks.digests import digest_directory
from tasks.home import home, tracking_uri, without_credentials
from tasks.locks import file_lock

Service = Literal["language_model", "classifier"]

DIGEST = "rootstock.digest"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"

_FILES = {
    "language_model": ("generate.py", "language_model_service.py"),
    "classifier": ("classifier_service.py",),
}
_CLASSES = {"language_model": "LanguageModelService", "classifier": "ClassifierService"}
_REQUIREMENTS = ("mlflow", "torch", "transformers", "tokenizers", "safetensors")

_ENVIRONMENT = threading.Lock()

_MODEL_CODE = '''\
    """How MLflow calls the model."""

    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel


    class Answer:
        # Apart from Served, because MLflow warns of a method without type hints, and hints switch its params off.
        def predict(self, context, model_input, params=None):
            return self.service.predict(model_input, params)


    class Served(Answer, PythonModel):
        def load_context(self, context):
            from {package}.{service}_service import {name}

            self.service = {name}(context.artifacts["model"])


    set_model(Served())
    '''


class ChampionChanged(RuntimeError):  # noqa: N818 (an event, said as one)
    """Another model became the champion between the comparison and the promotion."""


@dataclass(frozen=True)
class Version:
    """A registered version of a model."""

    name: str
    version: str
    uri: str
    """The logged model, `models:/m-<id>`."""
    run_id: str
    tags: dict[str, str]


def log_model(
    run_id: str,
    model_dir: Path,
    *,
    name: str,
    service: Service,
    tags: Mapping[str, object] | None = None,
) -> str:
    """Log a stock Hugging Face directory as an MLflow model under a run; return `models:/m-<id>`.

    The model answers through `mlflow.pyfunc.load_model` and `mlflow models serve`. The tag `rootstock.digest` may
    bring the digest of the directory, if the caller knows it already.
    """
    from mlflow.entities import LoggedModelOutput

    client = tracking.client()
    tags = {"rootstock.service": service, **(tags or {})}
    tags.setdefault(DIGEST, digest_directory(model_dir))
    model = client.create_logged_model(
        client.get_run(run_id).info.experiment_id,
        name=name,
        source_run_id=run_id,
        tags={key: str(value) for key, value in tags.items()},
        model_type=service,
    )
    with tempfile.TemporaryDirectory() as scratch:
        _save(Path(scratch), model_dir, service, model.artifact_location, model.model_id, run_id)
        client.log_model_artifacts(model.model_id, str(Path(scratch) / "model"))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    uri = f"models:/{model.model_id}"
    fetch_model(uri, str(tags[DIGEST]))  # into this machine's cache: by links when MLflow's store is local
    return uri


def _save(scratch: Path, model_dir: Path, service: Service, location: str, model_id: str, run_id: str) -> None:
    """Write the MLflow model to `scratch/model`."""
    package = _copy_service(scratch, service)
    code = _MODEL_CODE.format(package=package.name, service=service, name=_CLASSES[service])
    (scratch / "model.py").write_text(textwrap.dedent(code))
    with warnings.catch_warnings():
        # MLflow's own types say Any, and importing them warns of it.
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType", category=UserWarning)
        from mlflow import pyfunc
        from mlflow.models import Model

        # The signature is known; an example would have to be answered while the model is logged.
        warnings.filterwarnings("ignore", message=".*An input example was not provided", category=UserWarning)
        pyfunc.save_model(
            scratch / "model",
            python_model=str(scratch / "model.py"),
            code_paths=[str(package)],
            artifacts={"model": str(model_dir.absolute())},
            signature=_signature(service),
            pip_requirements=[f"{each}=={version(each)}" for each in _REQUIREMENTS],
            mlflow_model=Model(artifact_path=location, model_uuid=model_id, run_id=run_id, model_id=model_id),
        )
    for compiled in (scratch / "model").rglob("__pycache__"):
        shutil.rmtree(compiled)


def _copy_service(scratch: Path, service: Service) -> Path:
    """Copy the files of a service into a package whose name changes with them: two ages can be open in one process."""
    assert lm_modules.serving.__file__
    folder = Path(lm_modules.serving.__file__).parent
    sources = {name: (folder / name).read_bytes() for name in _FILES[service]}
    digest = sha256(b"".join(sources.values())).hexdigest()[:12]
    package = scratch / f"rootstock_serving_{digest}"
    package.mkdir()
    (package / "__init__.py").write_text('"""How a registered model answers."""\n')
    for name, source in sources.items():
        (package / name).write_bytes(source)
    return package


def _signature(service: Service) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

    if service == "classifier":
        outputs = Schema([ColSpec("string", "label"), ColSpec("double", "probability")])
        return ModelSignature(Schema([ColSpec("string")]), outputs)
    params = [
        ParamSpec("max_new_tokens", "long", 128),
        ParamSpec("temperature", "double", 0.8),
        ParamSpec("top_p", "double", 0.95),
        ParamSpec("seed", "long", 0),
    ]
    return ModelSignature(Schema([ColSpec("string")]), Schema([ColSpec("string")]), ParamSchema(params))


def fetch_model(uri: str, digest: str | None = None) -> Path:
    """Return the stock directory of a model on this machine, downloaded only if it is not in the cache.

    `uri` is `models:/m-<id>`, `models:/<name>@<alias>`, `models:/<name>/<version>`, `<name>@<alias>`,
    `runs:/<run id>/<name>`, or a directory, which is returned as it is.
    """
    if ":/" not in uri and Path(uri).is_dir():
        return Path(uri)
    with _unknown_is_a_mistake(uri):
        if uri.startswith("runs:/"):
            return tracking.fetch_directory(uri, digest)
        model_id = resolve(uri).removeprefix("models:/")
        digest = digest or tracking.client().get_logged_model(model_id).tags.get(DIGEST)
    if digest is None:
        raise ValueError(
            f"{uri} was not logged by Rootstock (no tag {DIGEST}); give the directory of the model instead"
        )
    return artifact_cache.fill(digest, lambda target: _download(model_id, target))


def _download(model_id: str, target: Path) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client = tracking.client()
    inside = next(each.path for each in client.list_logged_model_artifacts(model_id, "artifacts") if each.is_dir)
    location = client.get_logged_model(model_id).artifact_location
    if stored := tracking.local_path(location):
        artifact_cache.link_or_copy(stored / inside, target)
        return
    part = target / ".part"
    part.mkdir()
    repository = get_artifact_repository(location, tracking_uri=tracking_uri())
    tracking.move_children(Path(repository.download_artifacts(inside, str(part))), target)
    shutil.rmtree(part)


def resolve(uri: str) -> str:
    """Return the logged model `models:/m-<id>` that a name with an alias or a version stands for."""
    path = uri.removeprefix("models:/")
    if path.startswith("m-") and "@" not in path and "/" not in path:
        return f"models:/{path}"
    name, at, alias = path.partition("@")
    number = "" if at else path.partition("/")[2]
    if not at:
        name = path.partition("/")[0]
    if not name or not (alias or number):
        raise ValueError(f"{uri!r} names no model; write a directory, NAME@champion, models:/NAME/3 or models:/m-...")
    client = tracking.client()
    with _unknown_is_a_mistake(uri):
        found = client.get_model_version_by_alias(name, alias) if at else client.get_model_version(name, number)
    return str(found.source)


@contextmanager
def _unknown_is_a_mistake(uri: str) -> Iterator[None]:
    """Turn MLflow's word that it does not know a model into a message that says where it was looked for."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        told = f"no model {uri!r} in {tracking_uri()}: {error.message}"
        raise ValueError(without_credentials(told)) from error


def register(name: str, model_uri: str, tags: Mapping[str, object] | None = None) -> str:
    """Register a logged model under a name and return the version; a model that is registered already keeps its own."""
    from mlflow.exceptions import MlflowException

    client = tracking.client()
    with _name_lock(name):
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        for known in client.search_model_versions(f"name = '{name}'"):
            if known.source == model_uri:
                _set_version_tags(name, known.version, tags or {})
                return str(known.version)
        model_id = model_uri.removeprefix("models:/")
        run_id = client.get_logged_model(model_id).source_run_id
        texts = {key: str(value) for key, value in (tags or {}).items()}
        with _environment_names_the_store():
            made = client.create_model_version(name, model_uri, run_id=run_id, tags=texts, model_id=model_id)
        return str(made.version)


@contextmanager
def _environment_names_the_store() -> Iterator[None]:
    """Tell MLflow's registry where the logged model lies: it asks the environment instead of the client's store."""
    with _ENVIRONMENT:
        configured = os.environ.get("MLFLOW_TRACKING_URI")
        os.environ["MLFLOW_TRACKING_URI"] = tracking_uri()
        try:
            yield
        finally:
            if configured is None:
                del os.environ["MLFLOW_TRACKING_URI"]


def champion(name: str) -> Version | None:
    """Return the version that counts, or None if there is none yet."""
    return _by_alias(name, CHAMPION)


def previous(name: str) -> Version | None:
    """Return the version that the champion replaced, or None."""
    return _by_alias(name, PREVIOUS)


def move_champion(
    name: str, version: str, verdict: Mapping[str, object], expected_champion: str | Literal["any"] | None = "any"
) -> None:
    """Make a version the champion, the old champion `previous`, and write the verdict on the version.

    `expected_champion` is the version that the challenger was compared with (None: there was none). If another one
    counts by now, the comparison no longer holds and ChampionChanged is raised.
    """
    with _name_lock(name):
        old = champion(name)
        number = old.version if old else None
        if expected_champion not in ("any", number):
            raise ChampionChanged(
                f"the champion of {name} is now version {number}, but version {version} was compared with "
                f"{expected_champion}; evaluate it again"
            )
        client = tracking.client()
        _set_version_tags(name, version, {**verdict, "promoted_at": _now()})
        if number == str(version):
            return
        if old:
            client.set_registered_model_alias(name, PREVIOUS, old.version)
        client.set_registered_model_alias(name, CHAMPION, str(version))
        challenger = _by_alias(name, CHALLENGER)
        if challenger and challenger.version == str(version):
            client.delete_registered_model_alias(name, CHALLENGER)


def set_challenger(name: str, version: str, reason: str, verdict: Mapping[str, object] | None = None) -> None:
    """Mark a version as the challenger that did not win, with the reason."""
    with _name_lock(name):
        _set_version_tags(name, version, {**(verdict or {}), "reason": reason})
        tracking.client().set_registered_model_alias(name, CHALLENGER, str(version))


def rollback(name: str, reason: str) -> Version:
    """Make the previous version the champion again, note the reason on both, and return it."""
    with _name_lock(name):
        bad, good = champion(name), previous(name)
        if good is None or bad is None:
            raise ValueError(f"{name} has no previous champion to go back to")
        client = tracking.client()
        _set_version_tags(name, bad.version, {"rolled_back_at": _now(), "rolled_back_reason": reason})
        _set_version_tags(name, good.version, {"restored_at": _now(), "restored_reason": reason})
        client.set_registered_model_alias(name, CHAMPION, good.version)
        client.delete_registered_model_alias(name, PREVIOUS)
    return good


def rolled_back(name: str, version: str) -> str | None:
    """Return why a version was taken back, or None if it was not."""
    tags = tracking.client().get_model_version(name, version).tags
    return tags.get("rolled_back_reason", "no reason given") if "rolled_back_at" in tags else None


def _by_alias(name: str, alias: str) -> Version | None:
    from mlflow.exceptions import MlflowException

    try:
        found = tracking.client().get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return Version(name, str(found.version), str(found.source), found.run_id or "", dict(found.tags))


def _set_version_tags(name: str, version: str, tags: Mapping[str, object]) -> None:
    for key, value in tags.items():
        text = value if isinstance(value, str) else json.dumps(value)
        tracking.client().set_model_version_tag(name, str(version), key, text[:2000])


def _name_lock(name: str) -> AbstractContextManager[None]:
    """Serialise changes of a name on this machine; between machines only `expected_champion` guards."""
    return file_lock(home() / "locks" / f"model-{sha256(name.encode()).hexdigest()[:32]}.lock")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
