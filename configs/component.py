"""Choices by name: the word in the YAML is the name of the file.

A family is a folder, a member is a file in it. `kind: byte_bpe` is `lm_modules/data/tokenizers/byte_bpe.py`, and the
class there is `ByteBpe`. Nothing is registered: a new file is a new kind, with its fields in the Prefect run form.

The folders belong to a floor above this one, so they are looked up by name when a configuration class is built.
Member files must import quickly (no torch at their top), because every Prefect process imports all of them.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union

from pydantic import Discriminator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from configs.base import Config, nearest


class Component(Config):
    """A member of a family: its fields are its settings, its methods are its behaviour.

    Every member declares `kind: Literal["<file name>"] = "<file name>"`.
    """

    kind: str

    def brief(self) -> str | dict[str, Any]:
        """Return what a user would write for it: its kind, with what is not as by default."""
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return {"kind": self.kind, **changed} if changed.keys() - {"kind"} else self.kind


@cache
def members(family: str, without: tuple[str, ...] = ()) -> dict[str, type[Component]]:
    """Return the members of a family by kind, for the dotted name of its folder (`"lm_modules.data.filters"`).

    Those `without` which it is wanted are not even imported.
    """
    package = importlib.import_module(family)
    names = sorted(each.name for each in pkgutil.iter_modules(package.__path__) if not each.name.startswith("_"))
    found = {}
    for name in (each for each in names if each not in without):
        class_name = "".join(word.capitalize() for word in name.split("_"))
        module = importlib.import_module(f"{family}.{name}")
        if not hasattr(module, class_name):
            raise TypeError(f"{module.__file__} must define class {class_name}, after the name of the file")
        found[name] = getattr(module, class_name)
    return found


@dataclass(frozen=True)
class OneOf:
    """Annotates a field whose value is a member of a family: `Annotated[Any, OneOf("lm_modules.data.filters")]`.

    A bare word stands for the member with its defaults: `filters: [length]` is `filters: [{kind: length}]`.
    """

    family: str
    without: tuple[str, ...] = ()
    """Members that cannot be chosen here: a member that is made of others of its family leaves itself out."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kinds = members(self.family, self.without)
        if len(kinds) == 1:
            schema = handler.generate_schema(next(iter(kinds.values())))
        else:
            union: Any = Union.__getitem__(tuple(kinds.values()))
            schema = handler.generate_schema(Annotated[union, Discriminator("kind")])
        return core_schema.no_info_before_validator_function(self._named, schema)

    def _named(self, value: Any) -> Any:
        kinds = members(self.family, self.without)
        if isinstance(value, str):
            value = {"kind": value}
        if isinstance(value, dict):
            kind = value.get("kind")
            if kind is None and len(kinds) > 1:
                raise ValueError(f"needs a kind; known: {', '.join(kinds)}")
            if kind is not None and kind not in kinds:
                raise ValueError(f"unknown kind {kind!r}{nearest(str(kind), kinds)}")
        return value
