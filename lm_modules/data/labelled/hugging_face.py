"""Labelled examples of the Hugging Face Hub, or of a directory that `datasets` can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.inputs.class_names import class_names, named
from lm_modules.data.inputs.hub import HubData
from lm_modules.data.inputs.tables import require_columns
from lm_modules.data.labelled_rows import LabelledRows


class HuggingFace(HubData, LabelledRows):
    """Splits of a data set, by `datasets` (Lhoest et al. 2021, arXiv 2109.02846).

    Labels that are numbers with names there (`ClassLabel`) are called by these; `label_names` names others.
    """

    kind: Literal["hugging_face"] = "hugging_face"
    train: str = "train"
    """The split for training, and for what has no split of its own below."""
    validation: str | None = None
    """The split for validation; null holds out a share of `train`."""
    test: str | None = None
    """The split for the test; null holds out a share of `train`."""

    @model_validator(mode="after")
    def _splits_are_used(self) -> Self:
        for split in ("validation", "test"):
            if getattr(self, split):
                self.refuse_without_effect(f"{split}_fraction", f"{split!r} names a split of its own")
        given = [each for each in (self.train, self.validation, self.test) if each]
        if len(given) > len(set(given)):
            raise ValueError(f"train, validation and test name one split twice ({', '.join(given)}); give each its own")
        return self

    def examples(self, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Example | Unreadable]:
        """Yield one example a row, split by split."""
        for split, name in ((None, self.train), ("validation", self.validation), ("test", self.test)):
            if name:
                yield from self._split(split, name, required, optional)

    def _split(
        self, split: str | None, name: str, required: Sequence[str], optional: Sequence[str]
    ) -> Iterator[Example | Unreadable]:
        for number, (row, features) in enumerate(self._readable(name), start=1):
            if number == 1:
                names = {} if self.label_names else class_names(features)
                require_columns(
                    f"data set {self.dataset!r}", self.columns_of(self.required_of(required, optional)), list(row)
                )
            values = {column: named(value, names.get(column)) for column, value in row.items()}
            yield self.example(
                f"{Path(self.dataset).name}/{name}:{number}",
                values,
                (*required, *optional),
                split,
                f"{self.dataset}/{name}",
                number,
            )

    def _readable(self, split: str) -> Iterator[tuple[dict[str, Any], Any]]:
        """Yield (row, features); what `datasets` cannot read ends with a ValueError that says after which row."""
        import datasets
        import pyarrow as arrow

        number = 0
        try:
            rows = self.rows_of(split, self.commit_or_none())
            for number, row in enumerate(rows, start=1):  # noqa: B007
                yield row, rows.features
        except (datasets.exceptions.DatasetsError, arrow.ArrowException, UnicodeDecodeError) as error:
            raise ValueError(
                f"data set {self.dataset!r} cannot be read after row {number} ({error}); if its files are here, name "
                "them with kind: jsonl, csv or parquet, which set bad lines aside"
            ) from error

    def splits_by(self, split: str = "test") -> str:
        """Return "given" if the part is given, else what the hash is of."""
        return "given" if getattr(self, split) else "group" if self.group_field else "random"
