"""Names of labels that `datasets` keeps beside their numbers (its `ClassLabel` features)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def class_names(features: Mapping[str, Any] | None) -> dict[str, Sequence[str]]:
    """Return the names by column, for columns of labels and columns of lists of labels."""
    found = {}
    for column, feature in (features or {}).items():
        inner = getattr(feature, "feature", feature)
        if type(inner).__name__ == "ClassLabel" and inner.names:
            found[column] = inner.names
    return found


def class_names_of(schema: Any) -> dict[str, Sequence[str]]:
    """Return the names by column that an Arrow schema carries; none if what it carries cannot be read."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    import datasets

    try:
        return class_names(datasets.Features.from_arrow_schema(schema))
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def named(value: Any, names: Sequence[str] | None) -> Any:
    """Return the name for a number, or the names for numbers; None for -1, which stands for no label."""
    if names is None:
        return value
    if isinstance(value, list):
        return [named(each, names) for each in value]
    if type(value) is not int or value >= len(names):
        return value
    return names[value] if value >= 0 else None
