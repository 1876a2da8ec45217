"""What labelled sets in rows of named columns have in common: what column is what, and the names of labels."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from configs.base import nearest
from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.inputs.class_names import named
from lm_modules.data.inputs.groups import group_of
from lm_modules.data.labelled import Labelled

LABELS = ("label", "labels", "tags")
"""Fields whose values are labels."""

NUMBER = re.compile(r"-?\d+")
NUMBERS = re.compile(r"\[?\s*-?\d+(\s*[\s,]\s*-?\d+)*\s*\]?")
"""A cell with numbers of labels: `3`, or `0, 3`, `0 3` or `[0, 3]` for several."""

MOST_NUMBERS_TOLD = 100
"""Numbers from here on share one reason: a column of ids would have as many as rows."""


class LabelledRows(Labelled):
    """Rows whose columns may have other names than the fields of a head."""

    columns: dict[str, str] = Field(default={})
    """What the head reads -> the column or field that holds it, where that has another name: `{text: message}`."""
    label_names: tuple[str, ...] = Field(default=(), max_length=10_000)
    """Names of the labels, where the files give numbers from 0; -1 is a label that is withheld."""
    group_field: str | None = None
    """A column or field; examples with the same value stay in the same split."""

    def required_of(self, required: Sequence[str], optional: Sequence[str]) -> list[str]:
        """Return the fields that must be there: also the optional ones for which a column is named.

        A column that is named for what the head does not read is a ValueError.
        """
        known = (*required, *optional)
        for field in self.columns:
            if field not in known:
                raise ValueError(f"columns names {field!r}, which the head does not read{nearest(field, known)}")
        return [*required, *(field for field in optional if field in self.columns)]

    def columns_of(self, fields: Sequence[str]) -> list[str]:
        """Return the columns that hold some fields, and that of the group."""
        columns = [self.columns.get(field, field) for field in fields]
        return columns if self.group_field is None else [*columns, self.group_field]

    def example(
        self, id: str, values: Mapping[str, Any], fields: Sequence[str], split: str | None, file: str, line: int
    ) -> Example | Unreadable:
        """Return a row as an example, with those of the fields that it has; set aside if a label has no name."""
        try:
            found = {
                field: self._named(field, values[column])
                for field in fields
                if (column := self.columns.get(field, field)) in values
            }
        except ValueError as error:
            content = json.dumps(dict(values), ensure_ascii=False, default=repr)
            return Unreadable(self.kind, file, line, str(error), content)
        group = None if self.group_field is None else group_of(values.get(self.group_field))
        return Example(id, found, group, split, file, line)

    def _named(self, field: str, value: Any) -> Any:
        """Return a value, or the name of the label that it is the number of, or several; None for one withheld."""
        if not self.label_names or field not in LABELS:
            return value
        if isinstance(value, list):
            return [self._named(field, each) for each in value]
        if isinstance(value, str) and NUMBERS.fullmatch(value.strip()):
            numbers = [int(each) for each in NUMBER.findall(value)]
            return self._named(field, numbers[0] if NUMBER.fullmatch(value.strip()) else numbers)
        if type(value) is int and value >= len(self.label_names):
            number = value if value < MOST_NUMBERS_TOLD else f"{MOST_NUMBERS_TOLD} or more"
            raise ValueError(f"label {number} has no name in label_names")
        return named(value, self.label_names)
