"""Tell the relation of two entities with a stock classifier, or all relations of a text whose entities it finds.

Copied, with the files that it imports, into every registered model of relations.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .classifier_service import ClassifierService
from .marked_pairs import Pair, fitting, from_tags, has_tags


class RelationService(ClassifierService):
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        super().__init__(directory)
        self.types = _head(Path(directory)).get("types", False)
        """Whether the model is told the types of the two."""
        self.labels = list(self._network.config.id2label.values())
        found = (each for each in sorted(Path(directory).glob("beside/*")))
        self.entities = next((each for each in found if _head(each).get("kind") == "token_classification"), None)
        """The model of entities that was learned beside, if there is one."""
        self._in_text: Any = None

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return `{"label", "probability"}` of each pair, and `{"relations"}` of each text without one.

        `rows` is a table with the column `text`, in which `<e1>...</e1>` is around the head and `<e2>...</e2>` around
        the tail, and `head_type` and `tail_type` if the model was taught types. A model that has learned entities
        beside finds them in a text without these marks: its relations are those of `RelationsInText.find`. There are no
        params.
        """
        columns = list(getattr(rows, "columns", []))
        texts = [str(text) for text in (rows["text" if "text" in columns else columns[0]] if columns else rows)]
        is_pair = [self.entities is None or has_tags(text) for text in texts]
        pairs = {place: from_tags(text) for place, text in enumerate(texts) if is_pair[place]}
        if self.types and pairs:
            missing = {"head_type", "tail_type"}.difference(columns)
            if missing:
                raise ValueError(f"this model was taught types; add {' and '.join(sorted(missing))} to the table")
            types = list(zip(rows["head_type"], rows["tail_type"], strict=True))
            pairs = {
                place: Pair(pair.text, pair.head, pair.tail, *map(str, types[place])) for place, pair in pairs.items()
            }
        answers = dict(zip(pairs, self.answers(list(pairs.values())), strict=True))
        return [
            answers[place] if place in answers else {"relations": self.relations(text)}
            for place, text in enumerate(texts)
        ]

    def relations(self, text: str) -> list[dict[str, Any]]:
        """Return the relations of the entities that are found in a text."""
        if self._in_text is None:
            from .relations_in_text import RelationsInText

            if self.entities is None:
                raise ValueError("this model has learned no entities beside; mark two with <e1>...</e1> <e2>...</e2>")
            self._in_text = RelationsInText(self.entities, self)
        return self._in_text.find(text)

    def answers(self, pairs: list[Pair]) -> list[dict[str, Any]]:
        """Return the likeliest label of each pair."""
        texts = [fitting(pair, self._fits) for pair in pairs]
        return [answer for logits_BK in self.logits(texts, None) for answer in self._labels(logits_BK)]

    def _fits(self, text: str) -> bool:
        return len(self._tokenizer(text, verbose=False)["input_ids"]) <= self._tokenizer.model_max_length


def _head(directory: Path) -> dict[str, Any]:
    head = directory / "head.json"
    return json.loads(head.read_text()) if head.is_file() else {}
