"""Find entities in texts with a stock token classifier.

Copied into every registered model of this kind, which must open without Rootstock.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .tag_entities import entities_in
from .word_windows import Window, windows, word_spans

WINDOWS_AT_ONCE = 16


class EntitiesService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        import torch
        from transformers import AutoModelForTokenClassification, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._tokenizer = AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, split_special_tokens=True
        )
        self._tokenizer.padding_side = "right"
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        network = AutoModelForTokenClassification.from_pretrained(
            str(directory), dtype=torch.float32, local_files_only=True
        )
        self._network = network.eval().to(self._device)
        head = Path(directory) / "head.json"
        self._piece = json.loads(head.read_text()).get("piece", "first") if head.is_file() else "first"

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[str]:
        """Return for each text a JSON list of `{"text", "type", "start", "end", "probability"}`, entities in order.

        `rows` is a list of strings or a table whose first column is meant. `start` and `end` are places in the text,
        and the probability is that of all tags of the entity. There are no params.
        """
        texts = rows[rows.columns[0]] if hasattr(rows, "columns") else rows
        return [json.dumps(self.entities(str(text)), ensure_ascii=False) for text in texts]

    def entities(self, text: str) -> list[dict[str, Any]]:
        """Return the entities of a text, long ones read in windows."""
        spans = word_spans(text)
        tags, probabilities = self.tags([text[start:end] for start, end in spans])
        found = []
        for type, first, behind in entities_in(tags):
            start, end = spans[first][0], spans[behind - 1][1]
            found.append(
                {
                    "text": text[start:end],
                    "type": type,
                    "start": start,
                    "end": end,
                    "probability": round(math.prod(probabilities[first:behind]), 6),
                }
            )
        return found

    def tags(self, words: list[str]) -> tuple[list[str], list[float]]:
        """Return the tag of every word and its probability; `O` for a word of which the tokenizer leaves nothing."""
        tags, probabilities = ["O"] * len(words), [1.0] * len(words)
        cut = windows(words, self._tokenizer, self._piece)
        for begin in range(0, len(cut), WINDOWS_AT_ONCE):
            for word, tag, probability in self._answered(cut[begin : begin + WINDOWS_AT_ONCE]):
                tags[word], probabilities[word] = tag, probability
        return tags, probabilities

    def _answered(self, cut: list[Window]) -> list[tuple[int, str, float]]:
        import torch

        rows = {
            "input_ids": [each.token_ids for each in cut],
            "attention_mask": [[1] * len(each.token_ids) for each in cut],
        }
        batch = self._tokenizer.pad(rows, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            best = self._network(**batch).logits.float().softmax(-1).max(-1)
        names = self._network.config.id2label
        return [
            (word, names[best.indices[row, place].item()], best.values[row, place].item())
            for row, each in enumerate(cut)
            for place, word in each.places
        ]
