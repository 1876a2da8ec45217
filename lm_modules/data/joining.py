"""The parts of a corpus, joined to one array a split; documents that are read more than once follow in later rounds.

round 1    | a | b | c | d |          every document that is read at all
round 2                      | b | d |        those that are read twice, behind all others: no copy is near another
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from configs.tokenization import TokenizationConfig
from lm_modules.data.corpus import corpus_files
from lm_modules.data.documents import SPLITS
from lm_modules.data.encoding import Encoder
from lm_modules.data.engines import Engine
from lm_modules.data.input_files import file_digest
from lm_modules.data.mixing import Group, epochs_by_group, source_epochs, times_read
from lm_modules.data.packed import PackedWriter
from lm_modules.data.token_parts import TokenPart, copied, encode_part

logger = logging.getLogger(__name__)


def pack_parts(
    config: TokenizationConfig, corpus: Path, tokenizer: Path, output: Path, parts: Path, engine: Engine | None = None
) -> dict[str, Any]:
    """Encode every file of a corpus into `parts` and join them; see `lm_modules.data.packed.pack`."""
    started = time.perf_counter()
    encoder = Encoder(tokenizer)
    digest = file_digest(Path(tokenizer) / "tokenizer.json")
    places = {
        split: [
            (file, Path(parts) / f"{split}-{number:05d}") for number, file in enumerate(corpus_files(corpus, split))
        ]
        for split in SPLITS
    }
    if engine is not None and engine.has_other_machines:
        _encode_by(engine, Path(tokenizer), digest, [each for found in places.values() for each in found])
    (Path(output) / "meta.json").unlink(missing_ok=True)  # of a time before
    used, meta, mixture = np.zeros(encoder.vocab_size, bool), dict[str, Any](), dict[str, Any]()
    for split in SPLITS:
        # those that another machine has encoded are there
        found = [encode_part(encoder, digest, file, directory) for file, directory in places[split]]
        for part in found:
            used |= np.load(part.directory / "used.npy")
        writer = PackedWriter(output, split, encoder.vocab_size, encoder.end_of_text_id, digest, config.packing)
        if split == "train":
            mixture = _join_mixed(writer, found, config, corpus)
        else:
            for part in found:
                _write(writer, part)
        meta = writer.close()
    return meta | {
        "bytes_per_token": {
            split: round(each["num_bytes"] / each["num_tokens"], 4)
            for split, each in meta["splits"].items()
            if each["num_tokens"]
        },
        "unused_tokens": int(encoder.vocab_size - used.sum()),
        "mixture": mixture,
        "seconds": round(time.perf_counter() - started, 2),
    }


def _encode_by(engine: Engine, tokenizer: Path, digest: str, places: Sequence[tuple[Path, Path]]) -> None:
    with engine.executor(len(places)) as executor:
        if executor is not None:
            for begun in [executor.submit(_encode_there, tokenizer, digest, *place) for place in places]:
                begun.result()


def _encode_there(tokenizer: Path, digest: str, file: Path, directory: Path) -> None:
    encode_part(_encoder(tokenizer, digest), digest, file, directory)


@lru_cache(maxsize=1)
def _encoder(tokenizer: Path, digest: str) -> Encoder:
    """Return the tokenizer for the next part too; `digest` tells it from one that was in the same place before."""
    return Encoder(tokenizer)


def _join_mixed(
    writer: PackedWriter, parts: Sequence[TokenPart], config: TokenizationConfig, corpus: Path
) -> dict[str, Any]:
    """Write each document as often as it is to be read; return tokens and epochs by source and by language."""
    sizes: Counter[Group] = Counter()
    for part in parts:
        sizes.update(_tokens_by_group(part))
    report = Path(corpus) / "report.json"
    own = source_epochs(json.loads(report.read_text()) if report.exists() else {})
    epochs = epochs_by_group(sizes, own, config.mixing)
    written: Counter[Group] = Counter()
    number = 0
    while True:
        again = False
        for part in parts:
            times = _times(part, epochs)
            chosen = times > number
            again = again or bool((times > number + 1).any())
            _write(writer, part, None if chosen.all() else chosen)
            written.update(_tokens_by_group(part, chosen))
        writer.end_round()
        number += 1
        if not again:
            return {name: _shares(sizes, written, place) for place, name in enumerate(("sources", "languages"))}


def _write(writer: PackedWriter, part: TokenPart, chosen: np.ndarray | None = None) -> None:
    for tokens in copied(part, chosen):
        writer.write_tokens(tokens)
    documents = part.documents if chosen is None else part.documents[chosen]
    names = part.sources
    writer.write_documents(documents["tokens"], int(documents["bytes"].sum()), [names[i] for i in documents["source"]])


def _tokens_by_group(part: TokenPart, chosen: np.ndarray | None = None) -> dict[Group, int]:
    documents = part.documents if chosen is None else part.documents[chosen]
    num_languages = max(len(part.languages), 1)
    sums = np.bincount(
        documents["source"] * num_languages + documents["language"],
        weights=documents["tokens"],
        minlength=len(part.sources) * num_languages,
    )
    return {
        (source, language): int(sums[place * num_languages + other])
        for place, source in enumerate(part.sources)
        for other, language in enumerate(part.languages)
        if sums[place * num_languages + other]
    }


def _times(part: TokenPart, epochs: Mapping[Group, float]) -> np.ndarray:
    """Return how often each document of a part is read."""
    documents = part.documents
    table = np.array([[epochs.get((source, each), 1.0) for each in part.languages] for source in part.sources])
    of_each = table[documents["source"], documents["language"]] if len(documents) else np.empty(0)
    return times_read(documents["key"], of_each)


def _shares(sizes: Mapping[Group, int], written: Mapping[Group, int], place: int) -> dict[str, dict[str, float]]:
    """Return tokens and epochs by source (place 0) or language (place 1)."""
    before, after = Counter[str](), Counter[str]()
    for group, count in sizes.items():
        name = group[place] or "unknown"
        before[name] += count
        after[name] += written.get(group, 0)
    return {name: {"tokens": after[name], "epochs": round(after[name] / before[name], 4)} for name in sorted(before)}
