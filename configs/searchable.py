"""Every end of what a sweep may choose is tried when the settings are read: no sweep fails at its seventh trial.

finetuning.adapter.rank: a sweep would fail at 0: input should be greater than or equal to 1, not 0; narrow what is
searched (my.yaml)

One value is changed at a time, around the first of all others, so that many open fields cost little.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from configs.base import Config
from configs.problems import describe
from configs.tuning import Choice, Range, fixed, search_space, with_values


def require_searchable(config: Config) -> None:
    """Raise a ValidationError, with the paths of what is at fault, if some value to choose from does not suit."""
    found: dict[str, InitErrorDetails] = {}
    for varied, values in _tries(config):
        for problem in _problems(config, values):
            path = next((each for each in values if problem.startswith(f"{each}: ")), varied)
            found.setdefault(problem, _details(path, values.get(path), problem.removeprefix(f"{path}: ")))
    if found:
        raise ValidationError.from_exception_data(type(config).__name__, list(found.values()))


def _tries(config: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield values that close `config`, and the path of the one that is new in them ("" at first)."""
    if space := search_space(config):
        first = _first(space)
        yield "", first
        yield from _variations(space, first)


def _variations(space: Mapping[str, Range | Choice], around: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, each in space.items():
        others = {name: value for name, value in around.items() if not name.startswith(f"{path}.")}
        for value in _ends(each):
            values = others | _closed(path, value)
            yield path, values
            if isinstance(value, Config):
                yield from _variations(search_space(value, f"{path}."), values)


def _first(space: Mapping[str, Range | Choice]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, each in space.items():
        found |= _closed(path, _ends(each)[0])
    return found


def _closed(path: str, value: Any) -> dict[str, Any]:
    """Return a value as `fixed` takes it, with the first of all that lies open inside it."""
    if not isinstance(value, Config):
        return {path: value}
    return {path: value.model_dump(mode="json"), **_first(search_space(value, f"{path}."))}


def _ends(space: Range | Choice) -> tuple[Any, ...]:
    """Return all choices, or the ends of a range; where it has fractions, one of them as well."""
    if isinstance(space, Choice):
        return space.choices
    if space.integer:
        return int(space.low), int(space.high)
    between = space.low + (space.step or (space.high - space.low) / math.pi)
    return space.low, space.high, min(between, space.high)


def _problems(config: Config, values: dict[str, Any]) -> list[str]:
    """Return what the settings say against the values, a line each: `path: what is wrong`."""
    try:
        closed = fixed(config, values)
    except ValidationError as error:
        return str(describe(error, with_values(config, values), lambda steps: "")).splitlines()
    return [f"{path}: a choice must be one value, and this leaves it open" for path in search_space(closed)]


def _details(path: str, value: Any, problem: str) -> InitErrorDetails:
    place = f"at {value!r}" if path else "at its first trial"
    whole = "valid integer" in problem
    remedy = "search whole numbers (integer: true in a range)" if whole else "narrow what is searched"
    message = {"message": f"a sweep would fail {place}: {problem}; {remedy}"}
    error = PydanticCustomError("value_error", "{message}", message)
    return InitErrorDetails(type=error, loc=tuple(path.split(".")) if path else (), input=value)
