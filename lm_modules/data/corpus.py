"""A prepared corpus on disk: the documents of each split in Parquet files, in their order.

train/000000.parquet, train/000001.parquet ...      id, text, source, group, language
validation/000000.parquet ...
test/000000.parquet ...
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet

from lm_modules.data.documents import SPLITS, Document
from lm_modules.data.split import split_key

COLUMNS = ("id", "text", "source", "group", "language")
ALL_COLUMNS = (*COLUMNS, "split", "profile")
CHARACTERS_WRITTEN_AT_ONCE = 4_000_000
ROWS_READ_AT_ONCE = 500


class DocumentWriter:
    """Writes documents as they come; memory holds a few megabytes of them."""

    columns: tuple[str, ...] = ALL_COLUMNS

    def __init__(self, path: Path):
        self.schema = arrow.schema([(name, arrow.string()) for name in self.columns])
        self.writer = arrow.parquet.ParquetWriter(path, self.schema, compression="zstd")
        self.rows: list[dict[str, Any]] = []
        self.waiting = self.num_documents = 0

    def write(self, document: Document) -> None:
        """Add a document."""
        self.rows.append({name: getattr(document, name) for name in self.columns})
        self.num_documents += 1
        self.waiting += len(document.text)
        if self.waiting >= CHARACTERS_WRITTEN_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self.writer.write_table(arrow.Table.from_pylist(self.rows, self.schema))
        self.rows, self.waiting = [], 0

    def close(self) -> dict[str, Any]:
        """Finish the file and return its sizes."""
        self._flush()
        self.writer.close()
        return {"documents": self.num_documents}


class SplitWriter(DocumentWriter):
    """Writes a file of a split, and counts and digests what is in it."""

    columns = COLUMNS

    def __init__(self, path: Path):
        super().__init__(path)
        self.num_characters = self.num_bytes = 0
        self.digest = hashlib.sha256()

    def write(self, document: Document) -> None:
        """Add a document."""
        super().write(document)
        encoded = document.text.encode()
        self.digest.update(f"{document.id}\0{len(encoded)}\0".encode() + encoded)
        self.num_characters += len(document.text)
        self.num_bytes += len(encoded)

    def close(self) -> dict[str, Any]:
        """Finish the file and return its sizes."""
        return super().close() | {
            "characters": self.num_characters,
            "bytes": self.num_bytes,
            "sha256": self.digest.hexdigest(),
        }


def read_documents(path: Path) -> Iterator[Document]:
    """Yield the documents of a Parquet file in their order; memory holds some hundreds of them.

    Columns that a document does not have are left out.
    """
    known = {each.name for each in fields(Document)}
    file = arrow.parquet.ParquetFile(path)
    columns = [name for name in file.schema_arrow.names if name in known]
    for batch in file.iter_batches(ROWS_READ_AT_ONCE, columns=columns):
        for row in batch.to_pylist():
            yield Document(**row)


def corpus_files(directory: Path, split: str) -> list[Path]:
    """Return the files of a split in their order: those in its folder, or `train.parquet` where that is all of it."""
    whole, folder = Path(directory) / f"{split}.parquet", Path(directory) / split
    if whole.exists():
        return [whole]
    if not folder.is_dir():
        raise ValueError(f"{directory} is no corpus: it has no {whole.name} and no folder {split}; prepare it first")
    return sorted(folder.glob("*.parquet"))


def file_of_split(directory: Path, split: str, number: int) -> Path:
    """Return where the file of this number of a split lies."""
    return Path(directory) / split / f"{number:06d}.parquet"


def read_corpus(directory: Path, split: str) -> Iterator[Document]:
    """Yield the documents of a split in their order; memory holds some hundreds of them."""
    for path in corpus_files(directory, split):
        for document in read_documents(path):
            yield replace(document, split=split)


def sum_of_sizes(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sizes of a split from those of its files."""
    sizes: dict[str, Any] = {unit: sum(part[unit] for part in parts) for unit in ("documents", "characters", "bytes")}
    return sizes | {"sha256": hashlib.sha256("".join(part["sha256"] for part in parts).encode()).hexdigest()}


def move_to_split(directory: Path, split: str, key: str, sizes: dict[str, dict[int, dict[str, Any]]]) -> None:
    """Move the documents whose `split_key` is `key` from train to `split`, and renew the sizes, by split and file."""
    for number in list(sizes["train"]):
        train, moved = (file_of_split(directory, each, number) for each in ("train", split))
        if not any(split_key(document) == key for document in read_documents(train)):
            continue
        whole = train.rename(train.with_suffix(".whole"))
        writers = {"train": SplitWriter(train), split: SplitWriter(moved)}
        for document in read_documents(whole):
            writers[split if split_key(document) == key else "train"].write(document)
        for name, writer in writers.items():
            sizes[name][number] = writer.close()
        whole.unlink()


def total(sizes: Mapping[str, Mapping[str, Any]], unit: str) -> int:
    """Return the sum of `unit` over the splits."""
    return sum(sizes[split][unit] for split in SPLITS)
