"""What of a source can be read by itself, so that several processes may work side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from lm_modules.data.inputs.files import InputFile

Range = tuple[int, int, int]
"""Start, end, and the number of the first line, row or piece."""


@dataclass(frozen=True, slots=True)
class Part:
    """Files to read whole, or a range of one file. A source that reads no files may use the range as it likes.

    The range counts bytes, or row groups, or shards, as its source does; `first` is the number of its first line, row
    or piece. `num_bytes` tells how much work it is, as far as that is known.
    """

    files: tuple[InputFile, ...] = ()
    start: int = 0
    end: int | None = None
    first: int = 1
    num_bytes: int = 0

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Part:
        """Return a part from what `dataclasses.asdict`, or its JSON, made of it."""
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"a part has no {', '.join(sorted(unknown))}; was it written by another version?")
        return cls(**values | {"files": tuple(InputFile(**file) for file in values.get("files", ()))})


def grouped(
    files: Iterable[InputFile], part_bytes: int, ranges: Callable[[InputFile], Iterable[Range]]
) -> Iterator[Part]:
    """Yield parts of about `part_bytes` in the order of the files: small ones together, those cut by `ranges` alone."""
    together: list[InputFile] = []
    num_bytes = 0
    for file in files:
        cuts = list(ranges(file)) if file.num_bytes > part_bytes and not file.problem else []
        if together and (len(cuts) > 1 or num_bytes + file.num_bytes > part_bytes):
            yield Part(tuple(together), num_bytes=num_bytes)
            together, num_bytes = [], 0
        if len(cuts) > 1:
            # the range of a file is in its own units, so its bytes are shared out evenly
            share = file.num_bytes // len(cuts)
            yield from (Part((file,), start, end, first, share) for start, end, first in cuts)
        else:
            together.append(file)
            num_bytes += file.num_bytes
    if together:
        yield Part(tuple(together), num_bytes=num_bytes)
