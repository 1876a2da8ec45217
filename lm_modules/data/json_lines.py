"""Reads JSON Lines written by others: a bad line is named and set aside, the rest is used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from lm_modules.data.documents import Unreadable
from lm_modules.data.inputs.damage import TOO_LONG
from lm_modules.data.inputs.lines import Line
from lm_modules.data.personal import EXCERPT_CHARACTERS, excerpt_of_bytes, shown_names

MOST_FIELDS = 100


class FieldsFound:
    """The fields that the objects of a file had so far."""

    def __init__(self, place: str, fields: tuple[str, ...], always: tuple[str, ...], strings: tuple[str, ...]):
        """Take the wanted fields, those `always` in a line that can be used, and the `strings` among these."""
        self.place, self.fields, self.always, self.strings = place, fields, always, strings
        self.seen: set[str] = set()
        self.num_lines = 0

    def note(self, row: dict[str, Any]) -> None:
        """Note the fields of an object: those that are wanted, and others as far as they are few."""
        self.seen.update(field for field in self.fields if field in row)
        others = islice(row, max(0, MOST_FIELDS - len(self.seen)))
        self.seen.update(field if len(field) <= EXCERPT_CHARACTERS else "(a long name)" for field in others)

    @property
    def missing(self) -> list[str]:
        """The wanted fields that no line had, if there was any line."""
        return [field for field in self.fields if field not in self.seen] if self.num_lines else []

    def require(self) -> None:
        """Raise a ValueError if a field is missing."""
        if not self.missing:
            return
        if not self.seen:
            raise ValueError(f"{self.place}: not one of its {self.num_lines} lines is a JSON object; is it JSON Lines?")
        raise ValueError(
            f"{self.place}: no line has a field {self.missing[0]!r}; the fields there are: "
            f"{', '.join(shown_names(self.missing[0], sorted(self.seen)))}"
        )


def json_rows(
    source: str, lines: Iterable[Line], found: FieldsFound
) -> Iterator[tuple[int, dict[str, Any]] | Unreadable]:
    """Yield (line number, object), or `Unreadable`, for each line that is not empty, and note what fields there are."""
    for line in lines:
        if not line.data.strip():
            continue
        found.num_lines += 1
        row, reason = (None, TOO_LONG) if line.too_long else _parsed(line.data)
        if row is not None:
            found.note(row)
            reason = _missing(row, found)
        if row is None or reason:
            yield Unreadable(source, found.place, line.number, reason, excerpt_of_bytes(line.data, EXCERPT_CHARACTERS))
        else:
            yield line.number, row


def _parsed(line: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return None, "not UTF-8"
    except (ValueError, RecursionError):
        return None, "not JSON"
    return (row, "") if isinstance(row, dict) else (None, "not a JSON object")


def _missing(row: dict[str, Any], found: FieldsFound) -> str:
    for field in found.always:
        if field not in row:
            return f"no field {field!r}"
        if field in found.strings and not isinstance(row[field], str):
            return f"field {field!r} is no string"
    return ""
