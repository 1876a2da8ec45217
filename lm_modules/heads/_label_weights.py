"""What labels count in the loss, where rare ones are to count as much as frequent ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TypeVar

L = TypeVar("L", bound=Hashable)


def balanced_weights(labels: Sequence[L]) -> dict[L, float]:
    """Return the weight of each label that occurs, n / (k n_label): 1 on average over all n (King and Zeng 2001).

    scikit-learn's `class_weight="balanced"` is the same.
    """
    counts = Counter(labels)
    return {label: len(labels) / (len(counts) * count) for label, count in counts.items()}
