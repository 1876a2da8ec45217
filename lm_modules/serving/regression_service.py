"""Give texts, or pairs of them, the scores of a stock model; what a registered one does when it is served.

Copied, with `classifier_service.py`, into every registered model of this kind, which must open without Rootstock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .classifier_service import ClassifierService, texts_and_pairs


class RegressionService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        self._model = ClassifierService(directory)

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[float]:
        """Return the score of each text.

        `rows` is a list of strings or a table with the column `text` (or one column), and perhaps `text_pair`, in which
        nothing may stand where a text has none beside it. There are no params.
        """
        texts, pairs = texts_and_pairs(rows)
        scores = [0.0] * len(texts)
        # a table has null, NaN or an empty text where nothing stands
        second = rows["text_pair"] if pairs else [""] * len(texts)
        beside = [isinstance(each, str) and each != "" for each in second]
        for has_pair in (False, True):
            places = [place for place, there in enumerate(beside) if there == has_pair]
            some = [pairs[place] for place in places] if pairs and has_pair else None
            found = [each for logits in self._model.logits([texts[place] for place in places], some) for each in logits]
            for place, score in zip(places, found, strict=True):
                scores[place] = score.item()
        return scores
