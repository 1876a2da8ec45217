"""A corpus to tokens, a file at a time: each is encoded on its own, and all are joined in their order.

    train/00000.parquet  ->  parts/train-00000/  tokens.bin  documents.npy  part.json
    train/00001.parquet  ->  parts/train-00001/       \\
                                                       ->  train.bin, train.documents.npy, train.sources.npy

A part depends on its file and the tokenizer alone. It is written beside its place and then moved there, so one that is
there is whole, and is not made again. Memory holds a few megabytes of text and, of one part, 40 bytes a document.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from lm_modules.data.corpus import read_documents
from lm_modules.data.encoding import Encoder, batched
from lm_modules.data.input_files import file_digest
from lm_modules.data.parts import written

ROW = np.dtype([("tokens", "<i8"), ("bytes", "<i8"), ("source", "<i4"), ("language", "<i4"), ("key", "<u8")])
"""What is known of a document: its tokens with the one that ends it, bytes of text, places in the part's lists of
sources and languages, and a number that follows from its source and id."""
TOKENS_COPIED_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class TokenPart:
    """The tokens of one file of a corpus."""

    directory: Path
    about: dict[str, Any]

    @property
    def documents(self) -> np.ndarray:
        """[num_documents], of ROW, mapped."""
        return np.load(self.directory / "documents.npy", mmap_mode="r" if self.about["documents"] else None)

    @property
    def sources(self) -> list[str]:
        """The sources, in the order in which they come."""
        return self.about["sources"]

    @property
    def languages(self) -> list[str | None]:
        """The languages, in the order in which they come; None where it is not known."""
        return self.about["languages"]


def encode_part(encoder: Encoder, tokenizer_digest: str, file: Path, directory: Path) -> TokenPart:
    """Return the tokens of one file of a corpus in `directory`, made unless they are there."""
    made_of = {"file": file_digest(file), "tokenizer": tokenizer_digest}
    known = directory / "part.json"
    if known.exists():
        about = json.loads(known.read_text())
        if about["made_of"] == made_of:
            return TokenPart(directory, about)
    with written(directory) as unfinished:
        about = _encode(encoder, file, unfinished) | {"made_of": made_of}
        (unfinished / "part.json").write_text(json.dumps(about))
    return TokenPart(directory, about)


def _encode(encoder: Encoder, file: Path, directory: Path) -> dict[str, Any]:
    sources: dict[str, int] = {}
    languages: dict[str | None, int] = {}
    used = np.zeros(encoder.vocab_size, bool)
    end = np.array([encoder.end_of_text_id], encoder.dtype)
    rows = array("B")
    with (directory / "tokens.bin").open("wb") as out:
        for batch, encoded in encoder.encoded(batched(read_documents(file))):
            found = np.zeros(len(batch), ROW)
            for row, (document, tokens) in enumerate(zip(batch, encoded, strict=True)):
                if len(tokens) and int(tokens.max()) >= encoder.vocab_size:
                    raise ValueError(
                        f"document {document.id!r} has token {tokens.max()}, beyond the vocabulary of "
                        f"{encoder.vocab_size}; the tokenizer is damaged: train or take it over again"
                    )
                out.write(tokens.data)
                out.write(end.data)
                used[tokens] = True
                source = sources.setdefault(document.source, len(sources))
                language = languages.setdefault(document.language, len(languages))
                size = len(document.text) if document.text.isascii() else len(document.text.encode())
                found[row] = (len(tokens) + 1, size, source, language, _key(document.source, document.id))
            rows.frombytes(found.tobytes())
    documents = np.frombuffer(rows, ROW)
    np.save(directory / "documents.npy", documents)
    np.save(directory / "used.npy", used)
    return {
        "dtype": encoder.dtype.str,
        "documents": len(documents),
        "tokens": int(documents["tokens"].sum()),
        "bytes": int(documents["bytes"].sum()),
        "sources": list(sources),
        "languages": list(languages),
    }


def _key(source: str, name: str) -> int:
    return xxhash.xxh3_64_intdigest(f"{source}\0{name}".encode(errors="surrogatepass"))


def copied(part: TokenPart, chosen: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield the tokens of a part, or of the chosen of its documents (booleans), in pieces that memory holds.

    They are read rather than mapped: pages of a map count as memory in use for as long as it is open.
    """
    dtype = np.dtype(part.about["dtype"])
    whole = [(0, part.about["tokens"])]
    with (part.directory / "tokens.bin").open("rb") as file:
        for start, end in whole if chosen is None else _runs(part.documents["tokens"], chosen):
            file.seek(start * dtype.itemsize)
            for first in range(start, end, TOKENS_COPIED_AT_ONCE):
                yield np.fromfile(file, dtype, min(TOKENS_COPIED_AT_ONCE, end - first))


def _runs(lengths: np.ndarray, chosen: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the runs of chosen documents."""
    ends = np.cumsum(lengths)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    for first, last in edges.reshape(-1, 2).tolist():
        yield int(ends[first] - lengths[first]), int(ends[last - 1])
