"""What can be written after `kind:`, found by walking the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from configs.component import Component, OneOf, members


def families() -> dict[str, str]:
    """Return every family: its folder's name -> its dotted name."""
    from configs.pipeline import PipelineConfig

    found = sorted({each.family for each in _choices(PipelineConfig, set())})
    return {name.rpartition(".")[2]: name for name in found}


def kinds(family: str) -> dict[str, dict[str, Any]]:
    """Return the members of a family: kind -> its first sentence and its fields with their help."""
    return {kind: _describe(member) for kind, member in members(family).items()}


def _describe(member: type[Component]) -> dict[str, Any]:
    fields = {
        name: {
            "default": to_jsonable_python(
                None if field.is_required() else field.get_default(call_default_factory=True)
            ),
            "required": field.is_required(),
            "help": " ".join((field.description or "").split()),
        }
        for name, field in member.model_fields.items()
        if name != "kind"
    }
    return {"help": " ".join((member.__doc__ or "").strip().split("\n\n")[0].split()), "fields": fields}


def _choices(model: type[BaseModel], seen: set[type]) -> Iterator[OneOf]:
    """Yield every choice of a family under a model, those inside members too."""
    if model in seen:
        return
    seen.add(model)
    for field in model.model_fields.values():
        for part in (*field.metadata, *_parts(field.annotation)):
            if isinstance(part, OneOf):
                yield part
                for member in members(part.family).values():
                    yield from _choices(member, seen)
            elif isinstance(part, type) and issubclass(part, BaseModel):
                yield from _choices(part, seen)


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield an annotation and everything inside its brackets, `Annotated` metadata too."""
    yield annotation
    yield from getattr(annotation, "__metadata__", ())
    for each in get_args(annotation):
        yield from _parts(each)
