"""The parent of every setting: frozen, complete, and strict about names."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Config(BaseModel):
    """Settings that cannot change after they were read; an unknown key is refused with the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)
    without_effect: ClassVar[frozenset[str]] = frozenset()
    """Fields that change how a result is reached, never what it is: work is found again in spite of them."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}{nearest(str(key), cls.model_fields)}")
        return values


def nearest(name: str, known: Any) -> str:
    """Return the end of an error message: the known name closest to `name`, or all of them."""
    names = sorted(str(each) for each in known)
    close = get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names) or 'none'}"
