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
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.tokenization import TokenizationConfig
from lm_modules.data.documents import SPLITS
from lm_modules.data.input_files import file_digest

if TYPE_CHECKING:
    from lm_modules.data.engines import Engine
    from lm_modules.data.packing import Packing

CONCATENATE = {"kind": "concatenate"}
"""The packing of tokens that name none."""


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
    packing: dict[str, Any] = field(default_factory=lambda: CONCATENATE)
    """How rows are made of the documents: the settings of a member of `lm_modules.data.packing`."""
    rounds: tuple[int, ...] = ()
    """Documents up to the end of each round; those of a later one were read before. Empty where none is repeated."""
    directory: Path | None = None

    def __reduce__(self) -> Any:
        """Travel to another process as a path: a memory map would be copied."""
        return PackedTokens.open, (self.directory, self.split)

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
            document_starts=np.load(Path(directory) / f"{split}.documents.npy", mmap_mode="r"),
            document_sources=np.load(Path(directory) / f"{split}.sources.npy") if known_sources else None,
            source_names=tuple(known_sources["names"]) if known_sources else (),
            num_bytes=sizes["num_bytes"],
            vocab_size=meta["vocab_size"],
            end_of_text_id=meta["end_of_text_id"],
            fingerprint=meta["fingerprint"],
            packing=meta.get("packing", CONCATENATE),
            rounds=tuple(meta.get("rounds", {}).get(split, ())),
            directory=Path(directory),
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
    packing: Packing | None = None,
) -> dict[str, Any]:
    """Write one split and renew meta.json, which it returns.

    `documents` yields (token ids without the end-of-text token, UTF-8 bytes of the text, source if it is known); they
    are written as they come, so memory holds one document. Called once a split, with the same vocabulary.
    """
    writer = PackedWriter(directory, split, vocab_size, end_of_text_id, tokenizer_digest, packing)
    with writer.file:  # also where a document is refused
        for ids, size_bytes, *source in documents:
            row = np.empty(len(ids) + 1, np.int64)
            row[:-1], row[-1] = ids, end_of_text_id
            if row.min() < 0 or row.max() > np.iinfo(writer.dtype).max:
                raise ValueError(
                    f"{directory}: token ids {row.min()} to {row.max()} do not fit {writer.dtype.itemsize} bytes, "
                    f"which a vocabulary of {vocab_size} has; give the right vocab_size"
                )
            writer.write_tokens(row.astype(writer.dtype))
            writer.write_documents(np.array([len(row)]), size_bytes, source)
    return writer.close()


class PackedWriter:
    """Writes one split of a tokens directory as its tokens come; memory holds 12 bytes a document."""

    def __init__(
        self,
        directory: Path,
        split: str,
        vocab_size: int,
        end_of_text_id: int,
        tokenizer_digest: str,
        packing: Packing | None = None,
    ) -> None:
        self.directory, self.split = Path(directory), split
        self.directory.mkdir(parents=True, exist_ok=True)
        self.dtype = np.dtype("<u2" if vocab_size <= 65536 else "<u4")
        self.meta = {
            "dtype": self.dtype.str,
            "vocab_size": vocab_size,
            "end_of_text_id": end_of_text_id,
            "tokenizer_digest": tokenizer_digest,
        }
        self.packing = CONCATENATE if packing is None else packing.model_dump(mode="json")
        self.file = (self.directory / f"{split}.bin").open("wb")
        self.digest = hashlib.sha256()
        self.lengths, self.sources, self.names = array("q"), array("i"), dict[str, int]()
        self.num_bytes = 0
        self.rounds: list[int] = []

    def write_tokens(self, tokens: np.ndarray) -> None:
        """Add tokens of the split's type."""
        self.file.write(tokens.data)
        self.digest.update(tokens.data)

    def write_documents(self, lengths: np.ndarray, num_bytes: int, sources: Sequence[str]) -> None:
        """Add documents whose tokens were written, with the source of each if it is known."""
        self.lengths.frombytes(np.asarray(lengths, np.int64).tobytes())
        self.num_bytes += num_bytes
        self.sources.extend(self.names.setdefault(each, len(self.names)) for each in sources)

    def end_round(self) -> None:
        """Say that what follows are documents that were written before, once more."""
        self.rounds.append(len(self.lengths))

    def close(self) -> dict[str, Any]:
        """Finish the split; renew meta.json and return it."""
        directory, split = self.directory, self.split
        self.file.close()
        starts = np.zeros(len(self.lengths) + 1, np.int64)
        np.cumsum(np.frombuffer(self.lengths, np.int64), out=starts[1:])
        np.save(directory / f"{split}.documents.npy", starts)
        sizes = {"num_tokens": int(starts[-1]), "num_documents": len(self.lengths), "num_bytes": self.num_bytes}
        meta_path = directory / "meta.json"
        before = json.loads(meta_path.read_text()) if meta_path.exists() else {}
        splits, all_sources = before.get("splits", {}), before.get("sources", {})
        all_sources.pop(split, None)
        if len(self.sources) == len(self.lengths):
            np.save(directory / f"{split}.sources.npy", np.frombuffer(self.sources, np.int32))
            all_sources[split] = {
                "names": list(self.names),
                "sha256": file_digest(directory / f"{split}.sources.npy"),
            }
        splits[split] = sizes | {"sha256": self.digest.hexdigest()}
        rounds = before.get("rounds", {}) | ({split: self.rounds} if len(self.rounds) > 1 else {})
        meta = self.meta | {
            "fingerprint": hashlib.sha256(json.dumps(splits, sort_keys=True).encode()).hexdigest(),
            "splits": {name: splits[name] for name in SPLITS if name in splits},
            # outside the fingerprint: the order of batches follows from it, and does not depend on the names of sources
            "sources": {name: all_sources[name] for name in SPLITS if name in all_sources},
            "packing": self.packing,
            "rounds": rounds,
        }
        meta_path.write_text(json.dumps(meta, indent=2) + "\n")
        return meta


def pack(
    config: TokenizationConfig,
    corpus: Path,
    tokenizer: Path,
    output: Path,
    parts: Path | None = None,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Encode every split of a corpus into a tokens directory; return meta.json with how well the tokenizer fits.

    Every document is encoded as text: a special token that is written in it stays text. Files of the corpus that are
    encoded already, in `parts`, are not encoded again; without it they are kept for the time being.
    An `engine` that has other machines encodes there; this one's cores are used by threads.
    """
    from lm_modules.data.joining import pack_parts

    if parts is not None:
        return pack_parts(config, corpus, tokenizer, output, parts, engine)
    with tempfile.TemporaryDirectory(dir=Path(output).parent, prefix=f"{Path(output).name}.parts-") as place:
        return pack_parts(config, corpus, tokenizer, output, Path(place), engine)
