"""Models under a name: registered versions, and the aliases that say which one counts.

Aliases: `champion` counts, `previous` is what it replaced, `challenger` did not win.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from configs.base import nearest
from tasks import tracking
from tasks.home import home, tracking_uri
from tasks.locks import file_lock

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"

_ENVIRONMENT = threading.Lock()


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
            require_name(name)
            raise ValueError(f"{name} has no previous champion to go back to")
        client = tracking.client()
        _set_version_tags(name, bad.version, {"rolled_back_at": _now(), "rolled_back_reason": reason})
        _set_version_tags(name, good.version, {"restored_at": _now(), "restored_reason": reason})
        client.set_registered_model_alias(name, CHAMPION, good.version)
        client.delete_registered_model_alias(name, PREVIOUS)
    return good


def require_name(name: str) -> None:
    """Raise a ValueError with the names that exist if `name` is not registered."""
    known = [each.name for each in tracking.client().search_registered_models()]
    if name not in known:
        raise ValueError(f"no model is registered as {name!r}{nearest(name, known)}")


def require_alias(uri: str) -> None:
    """Raise a ValueError with what exists if `uri` is a name with an alias, and either is unknown."""
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if at and ":/" not in name and _by_alias(name, alias) is None:
        require_name(name)
        known = tracking.client().get_registered_model(name).aliases
        raise ValueError(f"{name} has no version @{alias}{nearest(alias, known)}")


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
