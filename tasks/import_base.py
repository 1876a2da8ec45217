"""A model from elsewhere, as an artifact of this pipeline."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import filing, logged_models
from tasks.artifacts import Model
from tasks.caching import is_no_mistake
from tasks.digests import digest_directory

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.spm", "*.jinja"]
"""What is taken from the Hugging Face Hub: no pickled weights, no code."""


@task(
    cache_policy=NO_CACHE,
    persist_result=True,
    result_serializer="json",
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_no_mistake,
)
def import_base(base: str, run_id: str, setting: str = "finetuning.base", has_weights: bool = True) -> Model:
    """Return the model that `base` names: a directory here, an MLflow uri, NAME@alias, or a name on the Hub.

    A model that is not in MLflow yet is filed there, so that every machine can fetch it, and only once. `setting` is
    the one that named it, for messages. Where the tokenizer alone is wanted, it need have no weights.
    """
    if base.startswith("~"):
        base = str(Path(base).expanduser())
    if Path(base).is_dir():
        return _filed(Path(base), base, run_id, setting, has_weights)
    if base.startswith(("models:/", "runs:/")) or "@" in base:
        directory = logged_models.fetch_model(base)
        uri = base if base.startswith("runs:/") else logged_models.resolve(base)
        return Model(uri=uri, digest=digest_directory(directory), run_id=run_id)
    if base.startswith((".", "/")):
        raise ValueError(f"{setting}: {base} is no directory; give one, an MLflow uri or a Hub name")
    from huggingface_hub import snapshot_download

    try:
        downloaded = snapshot_download(base, allow_patterns=FILES)
    except Exception as error:
        raise ValueError(
            f"{setting}: {base} is neither a directory here nor a model that the Hub gives out ({error})"
        ) from error
    return _filed(Path(downloaded), base, run_id, setting, has_weights)


def _filed(directory: Path, base: str, run_id: str, setting: str, has_weights: bool) -> Model:
    if not (directory / "config.json").is_file():
        raise ValueError(f"{setting}: {base} has no config.json; give the directory of a Hugging Face model")
    if has_weights and not any(directory.glob("model*.safetensors")):
        raise ValueError(
            f"{setting}: {base} has no weights in safetensors, and pickled ones are not opened; load the model where "
            "you trust it and save it anew with save_pretrained"
        )
    digest = digest_directory(directory)
    if known := filing.find_directory("base", digest):
        return Model(uri=known, digest=digest, run_id=filing.split_runs_uri(known)[0], facts={"imported_from": base})
    return Model.file(directory, run_id=run_id, name="base", facts={"imported_from": base})
