"""How many planted copies are found, and how many of those found are none, on real text.

    python benchmarks/near_duplicates.py [--copies 2000] [--look-alikes 2000] [--texts FOLDER] [--words 120]

The text is that of the files in FOLDER (`.txt`, `.gz`), or else the sources and documentation of the Python library.
Prints for each setting the recall at 5, 10 and 20 % of the words edited, the share of hard negatives that were taken
for copies, the precision over all pairs in clusters, and the speed.
"""

from __future__ import annotations

import argparse
import gzip
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from planted_copies import cut, planted, precision, recall, unlike

from lm_modules.data.clusters import find_clusters
from lm_modules.data.deduplication import CopiedDocuments
from lm_modules.data.deduplication.minhash import Minhash
from lm_modules.data.deduplication.simhash import Simhash
from lm_modules.data.sources.python_documentation import PythonDocumentation
from lm_modules.data.text_words import words_of

logger = logging.getLogger("near_duplicates")
SETTINGS: dict[str, CopiedDocuments] = {
    "minhash": Minhash(),
    "minhash as FineWeb": Minhash(shingle_words=5, bands=14, rows=8, min_similarity=None),
    "simhash as ROOTS": Simhash(),
}


def texts_of(folder: Path | None) -> Iterator[str]:
    if folder is None:
        yield from (document.text for document in PythonDocumentation().documents())
        return
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".txt", ".gz"):
            yield (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode(
                "utf-8", "replace"
            )


def clusters_of(rule: CopiedDocuments, texts: list[str]) -> tuple[list[int], float, float]:
    """Return the cluster of each text, and the seconds that the sketches and the clusters took."""
    with tempfile.TemporaryDirectory() as name:
        folder, started = Path(name), time.process_time()
        sketches = []
        for text in texts:
            words_of.cache_clear()
            sketches.append(rule.sketch(text))
        sketched = time.process_time()
        np.save(folder / "sketches.npy", np.stack(sketches))
        found = find_clusters(rule, [folder / "sketches.npy"], folder)[0].tolist()
        return found, sketched - started, time.process_time() - sketched


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=2_000)
    parser.add_argument("--look-alikes", type=int, default=2_000)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--words", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    pieces = (each for text in texts_of(arguments.texts) for each in cut(text, arguments.words, arguments.words // 2))
    corpus = planted(unlike(pieces), arguments.copies, arguments.look_alikes, arguments.seed)
    num_bytes = sum(len(text.encode()) for text in corpus.texts)
    logger.info("%s texts, %.1f MB", f"{len(corpus.texts):,}", num_bytes / 1e6)
    for name, rule in SETTINGS.items():
        found, sketching, clustering = clusters_of(rule, corpus.texts)
        logger.info(
            "%-20s recall %s; hard negatives taken %.4f; precision %.4f; sketches %.1f MB/s, clusters %.2f s",
            name,
            ", ".join(f"{recall(found, pairs):.3f} at {fraction:.0%}" for fraction, pairs in corpus.copies.items()),
            recall(found, corpus.look_alikes),
            precision(corpus, found),
            num_bytes / 1e6 / sketching,
            clustering,
        )


if __name__ == "__main__":
    main()
