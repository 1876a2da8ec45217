"""Models in MLflow, logged as they are.

A model is logged around its stock Hugging Face directory, which is copied as it is and never pickled:

    models:/m-<id>
      artifacts/<name of the directory>/    what `transformers` opens
      code/rootstock_serving_<digest>/      how it answers (`lm_modules/serving/*_service.py`)
      model.py, MLmodel, requirements.txt   MLflow's side
"""

from __future__ import annotations

import shutil
import tempfile
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import lm_modules.serving
from tasks import artifact_cache, filing, tracking
from tasks.digests import digest_directory
from tasks.home import tracking_uri, without_credentials

Service = Literal[
    "language_model",
    "fill_mask",
    "text_to_text",
    "token_labels",
    "classifier",
    "pair_classifier",
    "entities",
    "relation",
    "question_answering",
    "regression",
    "chat",
    "seq2seq",
]

DIGEST = "rootstock.digest"

_FILES = {
    "language_model": ("generate.py", "language_model_service.py"),
    "fill_mask": ("fill_mask_service.py",),
    "text_to_text": ("text_to_text_service.py",),
    "token_labels": ("token_labels_service.py",),
    "classifier": ("classifier_service.py",),
    "pair_classifier": ("classifier_service.py", "pair_classifier_service.py"),
    "entities": ("tag_entities.py", "word_windows.py", "entities_service.py"),
    "relation": (
        "marked_pairs.py",
        "classifier_service.py",
        "relation_service.py",
        "tag_entities.py",
        "word_windows.py",
        "entities_service.py",
        "relations_in_text.py",
    ),
    "regression": ("classifier_service.py", "regression_service.py"),
    "question_answering": ("question_answering_service.py", "spans.py"),
    "chat": ("chat_service.py",),
    "seq2seq": ("source_tokens.py", "seq2seq_service.py"),
}
_REQUIREMENTS = ("mlflow", "torch", "transformers", "tokenizers", "safetensors")

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
    code = _MODEL_CODE.format(package=package.name, service=service, name=_class_of(service))
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


def _class_of(service: Service) -> str:
    return "".join(word.capitalize() for word in f"{service}_service".split("_"))


def _signature(service: Service) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, Object, ParamSchema, ParamSpec, Property, Schema

    if service in ("classifier", "pair_classifier", "relation"):
        names = {"pair_classifier": ("text", "text_pair"), "relation": ("text",)}.get(service, (None,))
        optional = ("head_type", "tail_type") if service == "relation" else ()
        outputs = Schema([ColSpec("string", "label"), ColSpec("double", "probability")])
        if service == "relation":
            outputs = _relations()
        columns = [*(ColSpec("string", name) for name in names)]
        columns += [ColSpec("string", name, required=False) for name in optional]
        return ModelSignature(Schema([*columns]), outputs)
    if service == "regression":
        second = ColSpec("string", "text_pair", required=False)
        return ModelSignature(Schema([ColSpec("string", "text"), second]), Schema([ColSpec("double")]))
    if service == "question_answering":
        said = {"answer": DataType.string, "probability": DataType.double}
        place = Property("start", DataType.long, required=False)
        several = Array(Object([*(Property(name, kind) for name, kind in said.items()), place]))
        columns = [ColSpec(kind, name) for name, kind in said.items()]
        outputs = Schema([*columns, ColSpec(several, "answers", required=False)])
        inputs = Schema([ColSpec("string", "question"), ColSpec("string", "context")])
        return ModelSignature(inputs, outputs, ParamSchema([ParamSpec("n_best", "long", 1)]))
    if service == "seq2seq":
        fewer = ParamSchema([ParamSpec("max_new_tokens", "long", 0)])  # 0: as many as the model was taught to write
        return ModelSignature(Schema([ColSpec("string")]), Schema([ColSpec("string")]), fewer)
    inputs = Schema([ColSpec("string")])
    if service == "chat":
        message = Object([Property("role", DataType.string), Property("content", DataType.string)])
        inputs = Schema([ColSpec(Array(message), "messages")])
    elif service != "language_model":
        params = [ParamSpec("max_new_tokens", "long", 128)] if service == "text_to_text" else []
        return ModelSignature(inputs, Schema([ColSpec("string")]), ParamSchema(params))
    params = [
        ParamSpec("max_new_tokens", "long", 256 if service == "chat" else 128),
        ParamSpec("temperature", "double", 0.0 if service == "chat" else 0.8),
        ParamSpec("top_p", "double", 0.95),
        ParamSpec("seed", "long", 0),
    ]
    return ModelSignature(inputs, Schema([ColSpec("string")]), ParamSchema(params))


def _relations() -> Any:
    """Return what a model of relations says: of a pair its label, of a text without one all relations in it."""
    from mlflow.types.schema import Array, ColSpec, DataType, Object, Property, Schema

    entity = Object(
        [
            *(Property(name, DataType.string) for name in ("text", "type")),
            *(Property(name, DataType.long) for name in ("start", "end")),
            Property("probability", DataType.double),
        ]
    )
    pair = [Property("head", entity), Property("tail", entity)]
    relation = Object([*pair, Property("label", DataType.string), Property("probability", DataType.double)])
    columns = [ColSpec("string", "label", required=False), ColSpec("double", "probability", required=False)]
    return Schema([*columns, ColSpec(Array(relation), "relations", required=False)])


def fetch_model(uri: str, digest: str | None = None) -> Path:
    """Return the stock directory of a model on this machine, downloaded only if it is not in the cache.

    `uri` is `models:/m-<id>`, `models:/<name>@<alias>`, `models:/<name>/<version>`, `<name>@<alias>`,
    `runs:/<run id>/<name>`, or a directory, which is returned as it is.
    """
    if ":/" not in uri and Path(uri).is_dir():
        return Path(uri)
    with _unknown_is_a_mistake(uri):
        if uri.startswith("runs:/"):
            return filing.fetch_directory(uri, digest)
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
    if stored := filing.local_path(location):
        artifact_cache.link_or_copy(stored / inside, target)
        return
    part = target / ".part"
    part.mkdir()
    repository = get_artifact_repository(location, tracking_uri=tracking_uri())
    filing.move_children(Path(repository.download_artifacts(inside, str(part))), target)
    shutil.rmtree(part)


def stored_at(uri: str) -> Path | None:
    """Return the stock directory of a model `models:/m-<id>` where MLflow keeps it on this machine, else None."""
    client, model_id = tracking.client(), uri.removeprefix("models:/")
    stored = filing.local_path(client.get_logged_model(model_id).artifact_location)
    if stored is None:
        return None
    inside = next(each.path for each in client.list_logged_model_artifacts(model_id, "artifacts") if each.is_dir)
    return stored / inside


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
