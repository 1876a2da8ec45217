"""How a list of members of a family is written, shown with what was given in its place.

data_preparation.sources: must be a list, not 'notes.txt'; write [{kind: text_files, path: notes.txt}] (--set)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel

from configs.component import Component, OneOf, members


def list_example(model: type[BaseModel], steps: Sequence[str | int], given: Any) -> str | None:
    """Return a list that may have been meant where `given` was, as YAML; None where no list of a family belongs."""
    family = _family(model, steps)
    if family is None:
        return None
    kinds = members(family.family, family.without)
    if isinstance(given, dict):
        return f"[{_flow(given)}]"
    if isinstance(given, str):
        if given in kinds:
            return f"[{given}]"
        if reader := _reader(kinds, given):
            return f"[{{kind: {reader}, path: {given}}}]"
    bare = [kind for kind, each in kinds.items() if not _required(each)]
    return f"[{(bare or list(kinds))[0]}]"


def _reader(kinds: dict[str, type[Component]], path: str) -> str | None:
    """Return the kind that may read this file: one named like its ending, or else one of text."""
    readers = [kind for kind, each in kinds.items() if _required(each) == ["path"]]
    ending = path.rpartition(".")[2]
    return next((each for start in (ending, "text") for each in readers if each.startswith(start)), None)


def _required(kind: type[Component]) -> list[str]:
    return [name for name, field in kind.model_fields.items() if field.is_required()]


def _flow(mapping: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in mapping.items()) + "}"


def _family(model: type[BaseModel], steps: Sequence[str | int]) -> OneOf | None:
    """Return the family of which the field at the end of the steps wants a list."""
    annotation: Any = model
    for step in steps:
        found = next(
            (each for each in _types(annotation) if isinstance(each, type) and issubclass(each, BaseModel)), None
        )
        if found is None or step not in found.model_fields:
            return None
        annotation = found.model_fields[str(step)].annotation
    entries = next((get_args(each) for each in _types(annotation) if getattr(each, "__origin__", None) is tuple), ())
    return next(
        (mark for entry in entries for mark in getattr(entry, "__metadata__", ()) if isinstance(mark, OneOf)), None
    )


def _types(annotation: Any) -> tuple[Any, ...]:
    """Return the branches of a union, or the one type."""
    if isinstance(annotation, type) or getattr(annotation, "__origin__", None) is tuple:
        return (annotation,)
    return get_args(annotation) or (annotation,)
