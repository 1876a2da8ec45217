"""Labelled examples in JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from lm_modules.data.documents import Unreadable
from lm_modules.data.inputs.lines import numbered_lines
from lm_modules.data.json_lines import FieldsFound, json_rows
from lm_modules.data.labelled_table import LabelledTable


class Jsonl(LabelledTable):
    """Objects of JSON Lines files (https://jsonlines.org) with the fields that a head reads; bad lines set aside."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    kind: Literal["jsonl"] = "jsonl"

    def rows(
        self, file: Path, columns: Sequence[str], others: Sequence[str] = ()
    ) -> Iterator[tuple[int, dict[str, Any]] | Unreadable]:
        """Yield the objects of a file."""
        found = FieldsFound(str(file), tuple(columns), always=tuple(columns), strings=())
        with file.open("rb") as stream:
            yield from json_rows(self.kind, numbered_lines(stream, None), found)
        found.require()
