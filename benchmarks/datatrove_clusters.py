"""Clusters of near-duplicates beside those of datatrove's MinHash, at equal settings: 5-grams, 14 bands of 8.

    python benchmarks/datatrove_clusters.py [--copies 1000] [--edited 0.002 0.005 0.01] [--same-words]

Needs datatrove 0.10 with spaCy and xxhash below 4, in an environment of its own. The text is that of the Python library
(sources and documentation), with copies of which a share of the words was edited.

Pairs that are neither near nor far come into one cluster or not by the chance of the random orders: a copy with 5 % of
its words edited, one time in three. So datatrove is also compared with itself under another seed: more agreement than
that cannot be had. With `--same-words` both read texts of our words alone, in lower case and without punctuation, so
that nothing but the method differs; otherwise datatrove splits by spaCy.
"""

from __future__ import annotations

import argparse
import logging
import random
import struct
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from planted_copies import cut, edited

from lm_modules.data.clusters import find_clusters
from lm_modules.data.deduplication.minhash import Minhash
from lm_modules.data.sketches import simplified
from lm_modules.data.sources.python_documentation import PythonDocumentation
from lm_modules.data.text_words import words_of

logger = logging.getLogger("datatrove_clusters")
RULE = Minhash(shingle_words=5, bands=14, rows=8, min_similarity=None)


def our_clusters(texts: Sequence[str], folder: Path, rule: Minhash = RULE) -> list[int]:
    """Return for each text the first of its cluster."""
    np.save(folder / "sketches.npy", np.stack([rule.sketch(text) for text in texts]))
    return find_clusters(rule, [folder / "sketches.npy"], folder)[0].tolist()


def datatrove_clusters(texts: Sequence[str], folder: Path, seed: int = 1, rule: Minhash = RULE) -> list[int]:
    """Return for each text the first of its cluster, by the first three of datatrove's four stages."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    config = MinhashConfig(rule.shingle_words, rule.bands, rule.rows, seed)
    documents = (Document(text=text, id=str(number)) for number, text in enumerate(texts))
    MinhashDedupSignature(str(folder / "signatures"), config).run(documents, 0, 1)
    for bucket in range(config.num_buckets):
        MinhashDedupBuckets(str(folder / "signatures"), str(folder / "buckets"), config=config).run(
            None, bucket, config.num_buckets
        )
    clustering = MinhashDedupCluster(str(folder / "buckets"), str(folder / "clusters"), config, save_cluster_id=True)
    clustering.run(None, 0, 1)
    path = folder / "clusters" / "000000.clusters"
    return firsts(len(texts), struct.iter_unpack("<2I", path.read_bytes()) if path.exists() else ())


def firsts(size: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Return for each document the first of its cluster, from pairs of document and cluster."""
    found, first = list(range(size)), {}
    for document, cluster in sorted(pairs):
        found[document] = first.setdefault(cluster, document)
    return found


def agreement(one: Sequence[int], other: Sequence[int]) -> dict[str, float]:
    """Return the share of documents with one verdict (the first of a cluster is kept), and with the same partners."""
    partners = [partners_of(each) for each in (one, other)]
    size = len(one)
    return {
        "verdicts": sum((one[n] == n) == (other[n] == n) for n in range(size)) / size,
        "partners": sum(partners[0][one[n]] == partners[1][other[n]] for n in range(size)) / size,
    }


def partners_of(found: Sequence[int]) -> dict[int, frozenset[int]]:
    clusters: dict[int, set[int]] = {}
    for document, first in enumerate(found):
        clusters.setdefault(first, set()).add(document)
    return {first: frozenset(members) for first, members in clusters.items()}


def with_copies(num_documents: int, num_copies: int, fractions: Sequence[float], seed: int) -> list[str]:
    chance = random.Random(seed)
    library = [piece for each in PythonDocumentation().documents() for piece in cut(each.text, 400, 100)]
    texts = chance.sample(library, num_documents)
    words = [word for text in texts[:200] for word in text.split()]
    copied = chance.sample(texts, num_copies)
    texts += [edited(text, fractions[n % len(fractions)], words, chance) for n, text in enumerate(copied)]
    return chance.sample(texts, len(texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=3_000)
    parser.add_argument("--copies", type=int, default=1_000)
    parser.add_argument("--edited", type=float, nargs="+", default=[0.002, 0.005, 0.01])
    parser.add_argument("--same-words", action="store_true", help="leave nothing of the texts but our words")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    texts = with_copies(arguments.documents, arguments.copies, arguments.edited, arguments.seed)
    if arguments.same_words:
        texts = [" ".join(filter(None, map(simplified, words_of(text)))) for text in texts]
    size = sum(len(text.encode()) for text in texts) / 1e6
    found = {}
    for name, clusters in (
        ("ours", our_clusters),
        ("datatrove", datatrove_clusters),
        ("datatrove, another seed", lambda texts, folder: datatrove_clusters(texts, folder, seed=2)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            found[name] = clusters(texts, Path(folder))
            seconds = time.process_time() - started
        dropped = sum(first != number for number, first in enumerate(found[name]))
        logger.info("%s: %d of %d dropped, %.1f s, %.2f MB/s", name, dropped, len(texts), seconds, size / seconds)
    for name in ("ours", "datatrove, another seed"):
        shares = agreement(found["datatrove"], found[name])
        logger.info("datatrove beside %s: verdicts %.4f, partners %.4f", name, shares["verdicts"], shares["partners"])


if __name__ == "__main__":
    main()
