"""Tokens on disk: one flat array a split, read through a memory map.

    train.bin            | document 0 | <|endoftext|> | document 1 | <|endoftext|> | ...
    train.documents.npy  start of each document in it, and the end of the last: int64, num_documents + 1
    train.sources.npy    the source of each document, as a place in the names in meta.json: int32, num_documents
    meta.json            dtype, vocabulary, sizes, sources, fingerprint

A row is `tokens[start : start + context_length + 1]`. A memory map gave random rows 3 times (batches of 32) to 14 times
(one by one) as fast as a `datasets` table on Arrow (2 CPU cores: `benchmarks/packed_reading.py`), needs
no more memory than the pages touched, and the length of a row may change without writing anything again.
"""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs.tokenization import TokenizationConfig
from lm_modules.data.corpus import read_corpus
from lm_modules.data.documents import SPLITS, Document
from lm_modules.data.input_files import file_digest
from lm_modules.data.special_tokens import end_of_text_id

CHARACTERS_ENCODED_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class PackedTokens:
    """One split of a tokens directory, opened for reading; nothing is loaded until it is touched."""

    tokens: np.ndarray
    """[num_tokens], unsigned integers, a read-only memory map."""
    document_starts: np.ndarray
    """[num_documents + 1], int64; document i is `tokens[starts[i] : starts[i + 1]]`, its end-of-text token included."""
    num_bytes: int
    """UTF-8 bytes of the text that the tokens stand for."""
    vocab_size: int
    end_of_text_id: int
    fingerprint: str
    """Of the whole directory, all splits."""
    split: str
    document_sources: np.ndarray | None = None
    """[num_documents], places in `source_names`; None in a directory that was packed without them."""
    source_names: tuple[str, ...] = ()

    @classmethod
    def open(cls, directory: Path, split: str) -> PackedTokens:
        """Open `split` of the tokens directory; a missing or truncated split is a ValueError."""
        meta = read_meta(directory)
        if split not in meta["splits"]:
            known = ", ".join(meta["splits"])
            raise ValueError(f"{directory} has no split {split!r}; it has: {known}; pack the corpus again")
        sizes, dtype = meta["splits"][split], np.dtype(meta["dtype"])
        path = Path(directory) / f"{split}.bin"
        found = path.stat().st_size if path.exists() else 0
        if found != sizes["num_tokens"] * dtype.itemsize:
            expected = sizes["num_tokens"] * dtype.itemsize
            raise ValueError(f"{path} has {found} bytes, not {expected}: it was cut off; pack the corpus again")
        # An empty file cannot be mapped.
        tokens = np.memmap(path, dtype=dtype, mode="r") if found else np.empty(0, dtype)
        known_sources = meta.get("sources", {}).get(split)
        return cls(
            tokens=tokens,
            split=split,
            document_starts=np.load(Path(directory) / f"{split}.documents.npy"),
            document_sources=np.load(Path(directory) / f"{split}.sources.npy") if known_sources else None,
            source_names=tuple(known_sources["names"]) if known_sources else (),
            num_bytes=sizes["num_bytes"],
            vocab_size=meta["vocab_size"],
            end_of_text_id=meta["end_of_text_id"],
            fingerprint=meta["fingerprint"],
        )

    @property
    def num_tokens(self) -> int:
        """Tokens in the split, end-of-text tokens included."""
        return len(self.tokens)

    @property
    def num_documents(self) -> int:
        """Documents in the split."""
        return len(self.document_starts) - 1


def read_meta(directory: Path) -> dict[str, Any]:
    """Return meta.json of a tokens directory."""
    path = Path(directory) / "meta.json"
    if not path.exists():
        raise ValueError(f"{directory} is not a tokens directory: it has no meta.json; pack a corpus into it first")
    return json.loads(path.read_text())


def write_packed(
    directory: Path,
    split: str,
    documents: Iterable[tuple[Any, int] | tuple[Any, int, str]],
    *,
    vocab_size: int,
    end_of_text_id: int,
    tokenizer_digest: str = "",
) -> dict[str, Any]:
    """Write one split and renew meta.json, which it returns.

    `documents` yields (token ids without the end-of-text token, UTF-8 bytes of the text, source if it is known); they
    are written as they come, so memory holds one document. Called once a split, with the same vocabulary.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype("<u2" if vocab_size <= 65536 else "<u4")
    starts, num_bytes = [0], 0
    names: dict[str, int] = {}
    sources = array("i")
    with (directory / f"{split}.bin").open("wb") as file:
        for ids, size_bytes, *source in documents:
            row = np.empty(len(ids) + 1, dtype)
            row[:-1] = ids
            row[-1] = end_of_text_id
            row.tofile(file)
            starts.append(starts[-1] + len(row))
            num_bytes += size_bytes
            sources.extend(names.setdefault(each, len(names)) for each in source)
    np.save(directory / f"{split}.documents.npy", np.array(starts, np.int64))
    sizes = {"num_tokens": starts[-1], "num_documents": len(starts) - 1, "num_bytes": num_bytes}
    meta_path = directory / "meta.json"
    before = json.loads(meta_path.read_text()) if meta_path.exists() else {}
    splits, all_sources = before.get("splits", {}), before.get("sources", {})
    all_sources.pop(split, None)
    if len(sources) == len(starts) - 1:
        np.save(directory / f"{split}.sources.npy", np.array(sources, np.int32))
        all_sources[split] = {"names": list(names), "sha256": file_digest(directory / f"{split}.sources.npy")}
    splits[split] = sizes | {"sha256": file_digest(directory / f"{split}.bin")}
    meta = {
        "dtype": dtype.str,
        "vocab_size": vocab_size,
        "end_of_text_id": end_of_text_id,
        "tokenizer_digest": tokenizer_digest,
        "fingerprint": hashlib.sha256(json.dumps(splits, sort_keys=True).encode()).hexdigest(),
        "splits": {name: splits[name] for name in SPLITS if name in splits},
        # outside the fingerprint: the order of batches follows from it, and does not depend on the names of sources
        "sources": {name: all_sources[name] for name in SPLITS if name in all_sources},
    }
    meta_path.write_text(json.dumps(meta, indent=2) + "\n")
    return meta


def pack(config: TokenizationConfig, corpus: Path, tokenizer: Path, output: Path) -> dict[str, Any]:
    """Encode every split of a corpus into a tokens directory; return meta.json with how well the tokenizer fits.

    Every document is encoded as text: a special token that is written in it stays text.
    """
    from lm_modules.data.tokenization import corpus_tokenizer

    started = time.perf_counter()
    encoder = corpus_tokenizer(tokenizer)
    end_of_text = end_of_text_id(Path(tokenizer))
    digest, vocab_size = file_digest(Path(tokenizer) / "tokenizer.json"), 1 + max(encoder.get_vocab().values())
    used = np.zeros(vocab_size, bool)
    meta: dict[str, Any] = {}
    for split in SPLITS:
        meta = write_packed(
            output,
            split,
            _encoded(encoder, read_corpus(corpus, split), used),
            vocab_size=vocab_size,
            end_of_text_id=end_of_text,
            tokenizer_digest=digest,
        )
    sizes = meta["splits"]
    return meta | {
        "bytes_per_token": {
            split: round(each["num_bytes"] / each["num_tokens"], 4)
            for split, each in sizes.items()
            if each["num_tokens"]
        },
        "unused_tokens": int(vocab_size - used.sum()),
        "seconds": round(time.perf_counter() - started, 2),
    }


def _encoded(encoder: Any, documents: Iterable[Document], used: np.ndarray) -> Iterator[tuple[np.ndarray, int, str]]:
    """Yield (token ids, bytes, source) of each document, encoded in batches on all cores; mark in `used` its tokens."""
    for batch in _batches(documents):
        texts = [document.text for document in batch]
        for document, encoding in zip(batch, encoder.encode_batch_fast(texts, add_special_tokens=False), strict=True):
            ids = np.array(encoding.ids, np.int64)
            used[ids] = True
            yield ids, len(document.text.encode()), document.source


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    num_characters = 0
    for document in documents:
        batch.append(document)
        num_characters += len(document.text)
        if num_characters >= CHARACTERS_ENCODED_AT_ONCE:
            yield batch
            batch, num_characters = [], 0
    if batch:
        yield batch
