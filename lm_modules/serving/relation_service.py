"""Tell the relation of two entities with a stock classifier.

Copied, with `classifier_service.py`, into every registered model of relations.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .classifier_service import ClassifierService
from .marked_pairs import Pair, fitting, from_tags


class RelationService(ClassifierService):
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        super().__init__(directory)
        head = Path(directory) / "head.json"
        self.types = head.is_file() and json.loads(head.read_text()).get("types", False)
        """Whether the model is told the types of the two."""
        self.labels = list(self._network.config.id2label.values())

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return `{"label", "probability"}` of each pair.

        `rows` is a table with the column `text`, in which `<e1>...</e1>` is around the head and `<e2>...</e2>` around
        the tail, and `head_type` and `tail_type` if the model was taught types. There are no params.
        """
        columns = list(getattr(rows, "columns", []))
        texts = list(rows["text" if "text" in columns else columns[0]] if columns else rows)
        pairs = [from_tags(str(text)) for text in texts]
        if self.types:
            missing = {"head_type", "tail_type"}.difference(columns)
            if missing:
                raise ValueError(f"this model was taught types; add {' and '.join(sorted(missing))} to the table")
            types = zip(rows["head_type"], rows["tail_type"], strict=True)
            pairs = [
                Pair(pair.text, pair.head, pair.tail, str(head), str(tail))
                for pair, (head, tail) in zip(pairs, types, strict=True)
            ]
        return self.answers(pairs)

    def answers(self, pairs: list[Pair]) -> list[dict[str, Any]]:
        """Return the likeliest label of each pair."""
        texts = [fitting(pair, self._fits) for pair in pairs]
        return [answer for logits_BK in self.logits(texts, None) for answer in self._labels(logits_BK)]

    def _fits(self, text: str) -> bool:
        return len(self._tokenizer(text, verbose=False)["input_ids"]) <= self._tokenizer.model_max_length
