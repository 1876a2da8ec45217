"""What metrics judge that is no label: some answers for each; a contract test runs over all metrics."""

from __future__ import annotations

from typing import Any

LABELS = ["a", "b", "c"]
ANSWERS: dict[str, list[Any]] = {
    "entity_f1": [["B-x", "I-x", "O"], ["O", "B-y", "B-x"], ["U-y", "O", "O"]],
    "tag_accuracy": [["NOUN", "VERB"], ["NOUN", "NOUN"], ["VERB", "NOUN"]],
}
"""By kind; the metrics that are not here judge `LABELS`."""
