"""What metrics judge that is no label: some answers for each; a contract test runs over all metrics."""

from __future__ import annotations

from typing import Any

LABELS = ["a", "b", "c"]
NUMBERS = [number / 8 for number in range(-20, 100)]
"""Eighths have sums without rounding."""

SAID = [
    {"nats": 0.75, "tokens": 3, "right": 2},
    {"nats": 12.5, "tokens": 5, "right": 1},
    {"nats": 2.0, "tokens": 1, "right": 0},
]
SENTENCES = [
    "A man sleeps under the old tree.",
    "The man slept under an old tree, alone.",
    "It rains in Madrid today!",
    "Ayer llovió en Madrid, señor.",
]

ANSWERS: dict[str, list[Any]] = {
    "entity_f1": [["B-x", "I-x", "O"], ["O", "B-y", "B-x"], ["U-y", "O", "O"]],
    "tag_accuracy": [["NOUN", "VERB"], ["NOUN", "NOUN"], ["VERB", "NOUN"]],
    **dict.fromkeys(("pearson", "mean_absolute_error", "r_squared"), NUMBERS),
    **dict.fromkeys(("nats_per_token", "token_accuracy"), SAID),
    "preference_accuracy": [{"chosen": -1.5, "rejected": -2.0}, {"chosen": -3.0, "rejected": -1.0}],
    **dict.fromkeys(("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l"), SENTENCES),
}
"""By kind; the metrics that are not here judge `LABELS`."""

PERFECT: dict[str, Any] = {
    **{kind: {"nats": 0.0, "tokens": 4, "right": 4} for kind in ("nats_per_token", "token_accuracy")},
    "preference_accuracy": {"chosen": -1.0, "rejected": -2.0},
}
"""A perfect answer, where it is not the reference itself."""
