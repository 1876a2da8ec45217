"""Label the tokens of texts with a stock token classifier.

Copied into every registered model of this kind, which must open without Rootstock.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class TokenLabelsService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
        self._network = AutoModelForTokenClassification.from_pretrained(str(directory), local_files_only=True).eval()

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[str]:
        """Return for each text a JSON list of `[token, label, probability]`."""
        texts = rows[rows.columns[0]] if hasattr(rows, "columns") else rows
        return [json.dumps(self._labelled(str(text)), ensure_ascii=False) for text in texts]

    def _labelled(self, text: str) -> list[list[Any]]:
        import torch

        tokens_BL = self._tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            best = self._network(input_ids=tokens_BL).logits[0].softmax(-1).max(-1)
        names = self._network.config.id2label
        return [
            [self._tokenizer.decode([token]), names[label], round(probability, 6)]
            for token, label, probability in zip(
                tokens_BL[0].tolist(), best.indices.tolist(), best.values.tolist(), strict=True
            )
        ]
