"""Reads JSON Lines written by others: a bad line is named and set aside, the rest is used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lm_modules.data.documents import Unreadable

EXCERPT_CHARACTERS = 200


def json_lines(
    source: str, file: Path, fields: tuple[str, ...], numbers_too: tuple[str, ...] = ()
) -> Iterator[tuple[int, dict[str, Any]] | Unreadable]:
    """Yield (line number from 1, object) for each line that is an object with `fields`, each of them a string.

    A whole number will do for the fields in `numbers_too`; it is yielded as a string.

    Every other line but an empty one is yielded as `Unreadable`. If no line of the file has a field, that is a
    ValueError with the fields that are there.
    """
    seen: set[str] = set()
    num_lines = 0
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            num_lines += 1
            row, reason = _parsed(line)
            if row is not None:
                seen.update(row)
                row |= {field: str(row[field]) for field in numbers_too if type(row.get(field)) is int}
                reason = _missing(row, fields)
            if row is None or reason:
                excerpt = line[:EXCERPT_CHARACTERS].decode("utf-8", "replace").strip()
                yield Unreadable(source, str(file), number, reason, excerpt)
            else:
                yield number, row
    if num_lines and not seen:
        raise ValueError(f"{file}: not one of its {num_lines} lines is a JSON object; is it JSON Lines?")
    for field in fields:
        if num_lines and field not in seen:
            raise ValueError(f"{file}: no line has a field {field!r}; the fields there are: {', '.join(sorted(seen))}")


def _parsed(line: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return None, "not UTF-8"
    except (ValueError, RecursionError):
        return None, "not JSON"
    return (row, "") if isinstance(row, dict) else (None, "not a JSON object")


def _missing(row: dict[str, Any], fields: tuple[str, ...]) -> str:
    for field in fields:
        if field not in row:
            return f"no field {field!r}"
        if not isinstance(row[field], str):
            return f"field {field!r} is no string"
    return ""
