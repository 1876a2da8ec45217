"""What is wrong with a configuration, in lines that a person can act on.

finetuning.dropout: input should be less than or equal to 1, not 3 (my.yaml)
pretraining.optimization: unknown key 'larning_rate'; did you mean 'learning_rate'? (--set)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

Steps = tuple[str | int, ...]


class ConfigError(ValueError):
    """A mistake in a configuration: one line a problem."""


def describe(error: ValidationError, data: Any, origin: Callable[[Steps], str]) -> ConfigError:
    """Turn pydantic's error into ours.

    `data` is what was validated; `origin` says where the value at a path was written, or "" when nobody wrote it.
    """
    by_path: dict[Steps, list[str]] = {}
    for each in _own(error.errors(include_url=False), data):
        steps = _steps(each["loc"], data)
        if example := _example(each, steps):
            by_path.setdefault(steps, []).append(example)
        elif not _is_about_another_type(each["type"], each.get("input")):
            by_path.setdefault(steps, []).append(_message(each))
        else:
            by_path.setdefault(steps, [])
    lines = [_line(steps, messages, origin) for steps, messages in by_path.items()]
    return ConfigError("\n".join(lines))


def _own(errors: Sequence[Any], data: Any) -> list[Any]:
    """Return the errors without those that follow from another, of which there is more to say."""
    return [each for each in errors if not any(_follows(each, other["loc"], data) for other in errors)]


def _follows(error: Any, other: tuple[Any, ...], data: Any) -> bool:
    """Whether a list is too short for want of its wrong entries, or another branch of a union came further."""
    location = error["loc"]
    if not location or len(other) <= len(location):
        return False
    if error["type"] == "too_short":
        return _begins(other, location)
    return _begins(other, location[:-1]) and _steps(location, data) == _steps(location[:-1], data)


def _begins(location: tuple[Any, ...], start: tuple[Any, ...]) -> bool:
    return location[: len(start)] == start


def _example(error: Any, steps: Steps) -> str | None:
    """Return what is wrong with a list of members of a family, and how one is written; None if it is no such thing."""
    from configs.list_examples import list_example
    from configs.pipeline import PipelineConfig

    if error["type"] not in ("tuple_type", "too_short"):
        return None
    given = error.get("input")
    example = list_example(PipelineConfig, steps, given)
    if example is None:
        return None
    wrong = f"must be a list, not {_short(given)}" if error["type"] == "tuple_type" else "needs at least one entry"
    return f"{wrong}; write {example}"


def dotted(steps: Iterable[str | int]) -> str:
    """Return a path as it is written after --set."""
    return ".".join(map(str, steps))


def _line(steps: Steps, messages: list[str], origin: Callable[[Steps], str]) -> str:
    # A value that fits no branch of a union has one message for each branch; the one that recognised a key knows best.
    message = min(messages, key=lambda text: "did you mean" not in text, default="this value is not understood")
    key = re.match(r"unknown key '([^']*)'", message)
    source = origin((*steps, key[1]) if key else steps)
    return f"{dotted(steps)}{': ' if steps else ''}{message}{f' ({source})' if source else ''}"


def _message(error: Any) -> str:
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if error["type"] == "missing":
        return "is missing; it has no default"
    if error["type"] in ("value_error", "assertion_error"):
        return message
    return f"{message[0].lower()}{message[1:]}, not {_short(error.get('input'))}"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _is_about_another_type(error_type: str, value: Any) -> bool:
    """Whether a union's branch complains only that it wanted a mapping, or only that it did not want one."""
    if isinstance(value, dict):
        return error_type.endswith(("_type", "_parsing")) and error_type not in ("model_type", "dict_type")
    return error_type in ("model_type", "model_attributes_type") and not isinstance(value, list)


def _steps(location: tuple[str | int, ...], data: Any) -> Steps:
    """Drop from pydantic's location what is no key of ours: the names of types and kinds that it tried."""
    steps: list[str | int] = []
    for step in location:
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(step, int) and isinstance(data, list | tuple):
            data = data[step] if step < len(data) else None
        elif _names_a_type(step) or step == data or (isinstance(data, dict) and data.get("kind") == step):
            continue
        else:
            data = None
        steps.append(step)
    return tuple(steps)


def _names_a_type(step: str | int) -> bool:
    return isinstance(step, str) and (
        not re.fullmatch(r"[a-z][a-z0-9_]*", step) or step in ("float", "int", "str", "bool")
    )
