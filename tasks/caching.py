"""The same inputs, settings and code are not computed twice.

The key of a task is the sha256 of its name, its inputs (settings as JSON; artifacts by digest alone) and the code
beneath it (`tasks.code_digest`). Prefect keeps the small result under that key. A kept result counts only while the
artifacts that it names still exist in MLflow; otherwise it is forgotten and computed again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import State, Task, task
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.settings import get_current_settings
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from configs.base import Config
from configs.component import Component
from tasks.artifacts import Artifact, artifacts_in
from tasks.code_digest import code_digest
from tasks.home import home
from tasks.locks import file_lock

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

NOT_PART_OF_THE_KEY = frozenset({"run_id", "experiment", "engine", "side_by_side"})
"""Where a result is filed, who does the work and what is done beside it, does not change what it is."""


def content_key(name: str, inputs: Mapping[str, Any], code: tuple[str, ...]) -> str:
    """Return the key of the work `name` on `inputs`, done by the modules `code` (dotted names) and all beneath them."""
    kept = {each: value for each, value in sorted(inputs.items()) if each not in NOT_PART_OF_THE_KEY}
    chosen = sorted({type(each).__module__ for each in _components(kept)})
    text = json.dumps([name, _plain(kept), code_digest((*code, *chosen))], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _components(value: Any) -> Iterator[Component]:
    """Yield the members of families among the settings: their modules are found by name, so no import tells of them."""
    if isinstance(value, Component):
        yield value
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _components(each)


def _plain(value: Any) -> Any:
    """Return `value` as JSON, with every artifact reduced to its digest, without what has no effect on the result."""
    if isinstance(value, Artifact):
        return value.digest
    if isinstance(value, BaseModel):
        left_out = value.without_effect if isinstance(value, Config) else {"facts"}
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields if name not in left_out}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return to_jsonable_python(value)


@dataclass
class ByContent(CachePolicy):
    """Prefect's cache policy over `content_key`."""

    code: tuple[str, ...] = ()

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """Return the key, after forgetting a kept result whose artifacts are gone."""
        key = content_key(task_ctx.task.name, inputs, self.code)
        store = task_ctx.result_store
        if store.exists(key) and not all(each.exists() for each in artifacts_in(store.read(key).result)):
            logger.warning("an artifact of an earlier %s is gone from MLflow; computing it again", task_ctx.task.name)
            (get_current_settings().results.local_storage_path / key).unlink(missing_ok=True)
        return key


def by_content(*code: str) -> ByContent:
    """Return the policy for a task whose result depends on its inputs and on the modules `code`."""
    return ByContent(code=code)


@contextmanager
def work_directory(key: str) -> Iterator[Path]:
    """Hold the working directory of the work with this key: checkpoints found here are continued.

    One process holds it at a time; a second one that wants the same work waits for the first.
    """
    directory = home() / "work" / key[:32]
    directory.mkdir(parents=True, exist_ok=True)
    with file_lock(directory / ".lock"):
        yield directory


def cached_task(*code: str, retries: int = 1) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a Prefect task whose result is kept by content and that is tried again, but for users' mistakes.

    Its argument `run_id` names the MLflow run in which it files what it makes.
    """
    return task(
        cache_policy=by_content(*code),
        persist_result=True,
        result_serializer="json",
        retries=retries,
        retry_delay_seconds=2,
        retry_condition_fn=is_no_mistake,
    )


@contextmanager
def own_work_directory() -> Iterator[Path]:
    """Hold the working directory of the task that is running."""
    context = TaskRunContext.get()
    if context is None or not isinstance(context.task.cache_policy, ByContent):
        raise RuntimeError("own_work_directory is for functions under @cached_task")
    key = content_key(context.task.name, context.parameters, context.task.cache_policy.code)
    with work_directory(key) as directory:
        yield directory


def is_no_mistake(task: Task[..., Any], run: Any, state: State[Any]) -> bool:
    """Whether trying again can help: a wrong setting or a bad file stays wrong."""
    return not isinstance(state.result(raise_on_failure=False), ValueError)
