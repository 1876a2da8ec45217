"""How often each document of the training text is read in a pass, by its source and its language.

    epochs of a document = epochs of its source * weight of its source * temperature of its language

    epochs 2.3     all documents are read twice, three of ten a third time (by a hash of the document's name)
    weights        tokens of the sources stand in these proportions
    temperature    tokens of a language stand as n^exponent instead of n, so that small ones are heard: 0.5 in XLM
                   (Conneau & Lample 2019, arXiv 1901.07291, section 3.1), 0.3 in mT5 (Xue et al. 2020, arXiv
                   2010.11934, section 3.2)

Weights and temperature leave nothing out: what has most tokens for its share is read once, all others more often, up to
`most_epochs` (four repeats teach nearly as much as new text: Muennighoff et al. 2023, arXiv 2305.16264).
"""

# N documents

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from configs.tokenization import MixingConfig
from lm_modules.data.bits import mixed

Group = tuple[str, str | None]
"""Source and language; None where the language is not known."""


def epochs_by_group(tokens: Mapping[Group, int], own: Mapping[str, float], mixing: MixingConfig) -> dict[Group, float]:
    """Return how often the documents of each group are read.

    `tokens` says how many a pass without repeats has, `own` the epochs that sources ask for by their names (`books`
    stands for `books/a` too).
    """
    asked = {group: _of_source(group[0], own, 1.0) for group in tokens}
    size = {group: asked[group] * count for group, count in tokens.items()}
    by_source = _source_factors(size, mixing.source_weights)
    size = {group: by_source[group] * count for group, count in size.items()}
    by_language = _language_factors(size, mixing.language_exponent)
    return {
        group: max(asked[group], min(asked[group] * by_source[group] * by_language[group], mixing.most_epochs))
        for group in tokens
    }


def _source_factors(size: Mapping[Group, float], weights: Mapping[str, float] | None) -> dict[Group, float]:
    if not weights:
        return dict.fromkeys(size, 1.0)
    names = {group: _name_in(group[0], weights) for group in size}
    if unnamed := sorted({group[0] for group, name in names.items() if name is None}):
        raise ValueError(
            f"tokenization.mixing.source_weights has no weight for {', '.join(unnamed)}; give every source one"
        )
    totals: defaultdict[str, float] = defaultdict(float)
    for group, count in size.items():
        totals[str(names[group])] += count
    factors = {name: weights[name] / total for name, total in totals.items() if total}
    least = min(factors.values(), default=1.0)
    return {group: factors.get(str(names[group]), least) / least for group in size}


def _language_factors(size: Mapping[Group, float], exponent: float) -> dict[Group, float]:
    totals: defaultdict[str | None, float] = defaultdict(float)
    for (_, language), count in size.items():
        totals[language] += count
    known = [total for language, total in totals.items() if language is not None and total]
    most = max(known, default=1.0)
    return {
        group: 1.0 if group[1] is None or not totals[group[1]] else (totals[group[1]] / most) ** (exponent - 1)
        for group in size
    }


def _of_source(source: str, by_name: Mapping[str, float], otherwise: float) -> float:
    name = _name_in(source, by_name)
    return otherwise if name is None else by_name[name]


def _name_in(source: str, names: Mapping[str, float]) -> str | None:
    """Return the longest of the names that stand for a source: `books` stands for `books/a`."""
    fitting = [name for name in names if source == name or source.startswith(f"{name}/")]
    return max(fitting, key=len, default=None)


def times_read(keys_N: np.ndarray, epochs_N: np.ndarray) -> np.ndarray:
    """Return how often each document is read: the whole part of its epochs, and once more for a part of the documents.

    Which ones follows from their keys alone, so more epochs only add documents.
    """
    chance_N = (mixed(np.asarray(keys_N, np.uint64)) >> np.uint64(11)).astype(np.float64) / 2**53
    whole_N = np.floor(epochs_N)
    return (whole_N + (chance_N < epochs_N - whole_N)).astype(np.int64)


def source_epochs(corpus_report: Mapping[str, Any]) -> dict[str, float]:
    """Return the epochs that sources ask for, by name, from the report of their corpus."""
    sources = corpus_report.get("config", {}).get("sources", ())
    asked = {each.get("name") or each["kind"]: float(each.get("epochs") or 1) for each in sources}
    return {name: epochs for name, epochs in asked.items() if epochs != 1}
