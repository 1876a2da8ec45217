"""What metrics judge that is no label: some answers for each; a contract test runs over all metrics."""

from __future__ import annotations

from typing import Any

LABELS = ["a", "b", "c"]
NUMBERS = [number / 8 for number in range(-20, 100)]
"""Eighths have sums without rounding."""

ANSWERS: dict[str, list[Any]] = {
    "entity_f1": [["B-x", "I-x", "O"], ["O", "B-y", "B-x"], ["U-y", "O", "O"]],
    **dict.fromkeys(("pearson", "mean_absolute_error", "r_squared"), NUMBERS),
    "tag_accuracy": [["NOUN", "VERB"], ["NOUN", "NOUN"], ["VERB", "NOUN"]],
}
"""By kind; the metrics that are not here judge `LABELS`."""
