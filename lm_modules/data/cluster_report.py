"""What the clusters of copies look like, for the data card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

NUM_LARGEST = 10
NUM_NAMED = 5
SIZES = (2, 3, 5, 10, 30, 100, 1_000)


def cluster_report(
    keepers: Sequence[np.ndarray],
    name: Callable[[int], str],
    sources: Sequence[str],
    source_of: Sequence[np.ndarray],
) -> dict[str, Any]:
    """Return the number of clusters and copies, a histogram of sizes, the largest, and copies by pair of sources.

    `keepers` is of `find_clusters`; `name` gives the id of a document by its number; `source_of` the place of its
    source in `sources`, [documents] for each part. A cluster has two documents or more; all but the first are copies.
    """
    keeper = np.concatenate([np.empty(0, np.int64), *keepers])
    source = np.concatenate([np.empty(0, np.int64), *source_of])
    copies = np.flatnonzero((keeper >= 0) & (keeper != np.arange(len(keeper))))
    kept, counts = np.unique(keeper[copies], return_counts=True)
    sizes = counts + 1
    largest = np.lexsort((kept, -sizes))[:NUM_LARGEST]
    pairs = Counter(zip(source[keeper[copies]].tolist(), source[copies].tolist(), strict=True))
    return {
        "clusters": len(kept),
        "copies": len(copies),
        "sizes": _histogram(sizes),
        "largest": [
            {
                "size": int(sizes[each]),
                "kept": name(int(kept[each])),
                "copies": [name(int(copy)) for copy in copies[keeper[copies] == kept[each]][:NUM_NAMED]],
            }
            for each in largest
        ],
        "copies_by_sources": [
            {"kept": sources[one], "copy": sources[other], "copies": count}
            for (one, other), count in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
        ],
    }


def _histogram(sizes: np.ndarray) -> dict[str, int]:
    """Return how many clusters have 2 documents, 3 to 4, 5 to 9 and so on; what no cluster has is left out."""
    names = [f"{low} to {high - 1}" if high - low > 1 else f"{low}" for low, high in pairwise(SIZES)]
    places = np.searchsorted(SIZES, sizes, side="right") - 1
    counts = np.bincount(places, minlength=len(SIZES)).tolist()
    return {name: count for name, count in zip([*names, f"{SIZES[-1]} or more"], counts, strict=True) if count}
