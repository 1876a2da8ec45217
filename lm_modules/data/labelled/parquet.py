"""Labelled examples in Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

from lm_modules.data.documents import Unreadable
from lm_modules.data.inputs.class_names import class_names_of, named
from lm_modules.data.inputs.compression import Guard
from lm_modules.data.inputs.damage import DAMAGE, RefusedError, damage, detail
from lm_modules.data.inputs.tables import bounded, require_columns, validated, values_of
from lm_modules.data.labelled_table import LabelledTable
from lm_modules.data.personal import excerpt
from lm_modules.data.sources import parquet

EXCERPT_CHARACTERS = 200


class _Table(parquet.Parquet):
    """The source of this name, for any columns."""

    names_read: tuple[str, ...]

    def columns(self) -> list[str]:
        """Return what is read."""
        return list(self.names_read)


class Parquet(LabelledTable):
    """Rows of Parquet files (https://parquet.apache.org); bad rows are set aside with their numbers.

    Where `datasets` wrote the file and with it the names of labels, they take the place of the numbers.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    kind: Literal["parquet"] = "parquet"

    def rows(
        self, file: Path, columns: Sequence[str], others: Sequence[str] = ()
    ) -> Iterator[tuple[int, Mapping[str, Any]] | Unreadable]:
        """Yield the rows of a file; memory holds a batch of them."""
        import pyarrow as arrow

        # a table is read as the source of the same name reads it
        source, number = _Table(path=str(file), names_read=(*columns, *others)), 0
        try:
            with file.open("rb") as binary:
                table, known = source.opened_table(bounded(binary))
                require_columns(str(file), list(columns), known)
                wanted = list(dict.fromkeys([*columns, *(each for each in others if each in known)]))
                names = {} if self.label_names else class_names_of(table.file.schema_arrow)
                guard = Guard(source.max_expansion)
                blocks = range(source.num_blocks(table))
                for batch, packed_bytes in chain.from_iterable(source.batches(table, block) for block in blocks):
                    for row in self._rows(validated(batch), wanted, file, number):
                        number += 1
                        if not isinstance(row, Unreadable):
                            # one text of a few bytes may stand in every row
                            guard.count(sum(len(each) for each in row.values() if isinstance(each, str)), packed_bytes)
                            yield number, {column: named(value, names.get(column)) for column, value in row.items()}
                        else:
                            yield row
        except arrow.ArrowException as error:
            problem = RefusedError("damaged, or no parquet file", f"after row {number}: {error}")
            yield Unreadable(self.kind, str(file), None, damage(problem), excerpt(detail(problem), EXCERPT_CHARACTERS))
        except DAMAGE as error:
            yield Unreadable(self.kind, str(file), None, damage(error), excerpt(detail(error), EXCERPT_CHARACTERS))

    def _rows(
        self, batch: Any, columns: Sequence[str], file: Path, number: int
    ) -> Iterator[dict[str, Any] | Unreadable]:
        read = zip(*(values_of(batch.column(column)) for column in columns), strict=True)
        for row, values in enumerate(read, start=number + 1):
            problem = next(
                (f"column {column!r} is {each[1]}" for column, each in zip(columns, values, strict=True) if each[1]), ""
            )
            if problem:
                yield Unreadable(self.kind, str(file), row, problem)
            else:
                yield {column: value for column, (value, _) in zip(columns, values, strict=True)}
