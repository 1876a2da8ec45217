"""datatrove's local pipeline over a folder of JSON Lines: the peer of `data_preparation.py`, which calls this script.

    python benchmarks/datatrove_pipeline.py TEXTS TOKENIZER.JSON OUTPUT

It runs in an environment of its own (`pip install datatrove==0.10.1 spacy "xxhash<4" ftfy tokenizers orjson`) and
prints a JSON object with the seconds of each of its passes and the number of documents that it keeps. Blocks and
settings are datatrove's defaults: its Gopher filters with its word splitter (spaCy), exact and MinHash deduplication,
its tokenizer step.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.exact_dedup import ExactDedupConfig
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.formatters import FTFYFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter

WORKERS = 2


def content(document: Document) -> str:
    return document.text


def main(texts: Path, tokenizer: Path, output: Path) -> dict[str, float]:
    exact, minhash = ExactDedupConfig(content_getter=content), MinhashConfig()
    passes = {
        "clean and filter": (
            [
                JsonlReader(str(texts)),
                FTFYFormatter(),
                GopherRepetitionFilter(),
                GopherQualityFilter(),
                JsonlWriter(str(output / "filtered")),
            ],
            WORKERS,
        ),
        "exact: signatures": (
            [JsonlReader(str(output / "filtered")), ExactDedupSignature(str(output / "exact/signatures"), exact)],
            WORKERS,
        ),
        "exact: find": (
            [ExactFindDedups(str(output / "exact/signatures"), str(output / "exact/found"), exact)],
            1,
        ),
        "exact: take out": (
            [
                JsonlReader(str(output / "filtered")),
                ExactDedupFilter(str(output / "exact/found"), exact),
                JsonlWriter(str(output / "unique")),
            ],
            WORKERS,
        ),
        "minhash: signatures": (
            [JsonlReader(str(output / "unique")), MinhashDedupSignature(str(output / "minhash/signatures"), minhash)],
            WORKERS,
        ),
        "minhash: buckets": (
            [MinhashDedupBuckets(str(output / "minhash/signatures"), str(output / "minhash/buckets"), config=minhash)],
            minhash.num_buckets,
        ),
        "minhash: clusters": (
            [MinhashDedupCluster(str(output / "minhash/buckets"), str(output / "minhash/remove"), config=minhash)],
            1,
        ),
        "minhash: take out, tokenize": (
            [
                JsonlReader(str(output / "unique")),
                MinhashDedupFilter(str(output / "minhash/remove"), JsonlWriter(str(output / "copies"))),
                JsonlWriter(str(output / "kept")),
                DocumentTokenizer(str(output / "tokens"), str(tokenizer), shuffle_documents=False),
            ],
            WORKERS,
        ),
    }
    seconds = {}
    for name, (steps, tasks) in passes.items():
        started = time.perf_counter()
        LocalPipelineExecutor(steps, tasks=tasks, workers=WORKERS).run()
        seconds[name] = round(time.perf_counter() - started, 2)
    return seconds


def num_documents(folder: Path) -> int:
    return sum(len(gzip.decompress(path.read_bytes()).splitlines()) for path in folder.glob("*.jsonl.gz"))


if __name__ == "__main__":
    texts, tokenizer, output = map(Path, sys.argv[1:])
    passes = main(texts, tokenizer, output)
    print(json.dumps({"seconds": passes, "documents": num_documents(output / "kept")}))
