"""Labelled examples in JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from lm_modules.data.documents import Unreadable
from lm_modules.data.json_lines import json_lines
from lm_modules.data.labelled_table import LabelledTable


class Jsonl(LabelledTable):
    """Objects of JSON Lines files (https://jsonlines.org) with a text and a label; bad lines are set aside."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    kind: Literal["jsonl"] = "jsonl"

    def rows(self, file: Path) -> Iterator[tuple[int, dict[str, str]] | Unreadable]:
        """Yield the objects of a file."""
        return json_lines(self.kind, file, self.fields(), numbers_too=(self.label_field,))
