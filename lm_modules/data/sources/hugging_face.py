"""Data sets of the Hugging Face Hub, or a directory that `datasets` can read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from configs.base import nearest
from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.files import InputFile
from lm_modules.data.inputs.groups import group_of
from lm_modules.data.inputs.hub import HubData
from lm_modules.data.inputs.parts import Part
from lm_modules.data.personal import EXCERPT_CHARACTERS, excerpt, shown_names
from lm_modules.data.sources import Source


class HuggingFace(HubData, Source):
    """One split of a data set, by `datasets` (Lhoest et al. 2021, arXiv 2109.02846), streamed unless said otherwise."""

    kind: Literal["hugging_face"] = "hugging_face"
    split: str = "train"
    """The split to read; slices such as 'train[:1%]' need streaming false."""
    text_field: str = "text"
    """The column that holds the text."""
    group_field: str | None = None
    """A column; documents with the same value stay in the same split, and those without a value stand alone."""

    def parts(self, part_bytes: int) -> list[Part]:
        """Return the shards of what is streamed, ranges of rows of what is here."""
        commit = self.commit_or_none()
        # each part is of the same commit, however long the preparation takes
        version = (InputFile(self.dataset, self.dataset, version=commit),) if commit else ()
        return [replace(part, files=version) for part in self._parts(self.rows_of(self.split, commit), part_bytes)]

    def _parts(self, rows: Any, part_bytes: int) -> list[Part]:
        if hasattr(rows, "data"):
            at_once = max(1, len(rows) * part_bytes // max(rows.data.nbytes, 1))
            return [
                Part(start=start, end=min(start + at_once, len(rows)), first=start + 1, num_bytes=part_bytes)
                for start in range(0, len(rows), at_once)
            ]
        if rows.num_shards < 2:
            return [Part()]
        return [Part(start=shard, end=shard + 1) for shard in range(rows.num_shards)]

    def documents(self, part: Part | None = None) -> Iterator[Document | Unreadable]:
        """Yield one document a row; where there are several shards, its name has the number of the shard too."""
        rows = self.rows_of(self.split, part.files[0].version if part and part.files else self.commit_or_none())
        for each in self._parts(rows, sys.maxsize) if part is None else [part]:
            if hasattr(rows, "data"):
                yield from self._documents(rows.select(range(each.start, each.end or len(rows))), "", each.first)
            elif each.end is None:
                yield from self._documents(rows, "", 1)
            else:
                shard = rows.shard(num_shards=rows.num_shards, index=each.start, contiguous=True)
                yield from self._documents(shard, f"{each.start}-", 1)

    def _documents(self, rows: Any, shard: str, first: int) -> Iterator[Document | Unreadable]:
        for number, row in enumerate(rows, start=first):
            if number == first:
                for field in filter(None, (self.text_field, self.group_field)):
                    if field not in row:
                        shown = shown_names(field, row)
                        close = nearest(field, [name for name in shown if name in row] or shown)
                        raise ValueError(f"data set {self.dataset!r} has no column {field!r}{close}")
            text = row[self.text_field]
            if isinstance(text, str):
                group = group_of(row[self.group_field]) if self.group_field else None
                yield self.document(f"{Path(self.dataset).name}/{self.split}:{shard}{number}", text, group)
            else:
                reason = f"column {self.text_field!r} is no string"
                yield self.unreadable(self.dataset, number, reason, excerpt(repr(text), EXCERPT_CHARACTERS))

    def check(self) -> None:
        """Raise a ValueError if this is neither a directory nor on the Hub; nothing is downloaded yet."""
        self.commit_or_none()
