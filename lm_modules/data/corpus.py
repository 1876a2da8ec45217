"""A prepared corpus on disk: `train.parquet`, `validation.parquet`, `test.parquet` with id, text, source and group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet

from lm_modules.data.documents import SPLITS, Document
from lm_modules.data.split import split_key

SCHEMA = arrow.schema([(name, arrow.string()) for name in ("id", "text", "source", "group")])
CHARACTERS_WRITTEN_AT_ONCE = 4_000_000
ROWS_READ_AT_ONCE = 500


class SplitWriter:
    """Writes the documents of one split as they come; memory holds a few megabytes of them."""

    def __init__(self, path: Path):
        self.writer = arrow.parquet.ParquetWriter(path, SCHEMA, compression="zstd")
        self.rows: list[dict[str, Any]] = []
        self.waiting = self.num_documents = self.num_characters = self.num_bytes = 0
        self.digest = hashlib.sha256()

    def write(self, document: Document) -> None:
        """Add a document."""
        row = {name: getattr(document, name) for name in SCHEMA.names}
        encoded = document.text.encode()
        self.rows.append(row)
        self.digest.update(f"{document.id}\0{len(encoded)}\0".encode() + encoded)
        self.num_documents += 1
        self.num_characters += len(document.text)
        self.num_bytes += len(encoded)
        self.waiting += len(document.text)
        if self.waiting >= CHARACTERS_WRITTEN_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self.writer.write_table(arrow.Table.from_pylist(self.rows, SCHEMA))
        self.rows, self.waiting = [], 0

    def close(self) -> dict[str, Any]:
        """Finish the file and return its sizes."""
        self._flush()
        self.writer.close()
        return {
            "documents": self.num_documents,
            "characters": self.num_characters,
            "bytes": self.num_bytes,
            "sha256": self.digest.hexdigest(),
        }


def read_corpus(directory: Path, split: str) -> Iterator[Document]:
    """Yield the documents of a split in their order; memory holds some hundreds of them."""
    path = Path(directory) / f"{split}.parquet"
    if not path.exists():
        raise ValueError(f"{directory} is no corpus: it has no {path.name}; prepare it first")
    for batch in arrow.parquet.ParquetFile(path).iter_batches(ROWS_READ_AT_ONCE):
        for row in batch.to_pylist():
            yield Document(**row, split=split)


def fill_split(directory: Path, sizes: dict[str, Any], split: str, key: str) -> None:
    """Move the documents whose `split_key` is `key` from train to the empty `split`, and renew `sizes`."""
    train = directory / "train.parquet"
    whole = train.rename(directory / "train.whole.parquet")
    rest, moved = SplitWriter(train), SplitWriter(directory / f"{split}.parquet")
    for batch in arrow.parquet.ParquetFile(whole).iter_batches(ROWS_READ_AT_ONCE):
        for row in batch.to_pylist():
            document = Document(**row)
            (moved if split_key(document) == key else rest).write(document)
    whole.unlink()
    sizes |= {"train": rest.close(), split: moved.close()}


def total(sizes: dict[str, Any], unit: str) -> int:
    """Return the sum of `unit` over the splits."""
    return sum(sizes[split][unit] for split in SPLITS)
