"""What heads have in common in reading fields: each returns a value in its shape, or says what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from lm_modules.heads import Fields


def text_of(fields: Fields, name: str) -> str:
    """Return a text that is not empty."""
    if name not in fields:
        raise ValueError(f"no field {name!r}")
    value = fields[name]
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} is no string")
    if not value.strip():
        raise ValueError(f"empty {name}")
    return value


def label_of(value: Any, name: str) -> str:
    """Return a label: a string, a whole number, or true or false."""
    if isinstance(value, int):
        return str(value).lower()  # True is written "true", as in the files
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} is neither a string nor a whole number")
    if not value.strip():
        raise ValueError(f"empty {name}")
    return value.strip()


def number_of(value: Any, name: str) -> float:
    """Return a finite number, which a string may hold."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None or number != number or number in (float("inf"), float("-inf")):
        raise ValueError(f"field {name!r} is no number")
    return number


def list_of(value: Any, name: str, separator: str | None = None) -> list[Any]:
    """Return a list: one of JSON, that of a string that holds JSON, or the parts of a string between separators."""
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise ValueError(f"field {name!r} is no list") from error
        else:
            value = [each for each in value.split(separator) if each.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError(f"field {name!r} is no list")
    return list(value)
