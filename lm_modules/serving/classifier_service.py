"""Label texts with a stock classifier; what a registered classifier does when it is served.

Copied into every registered classifier, which must open without Rootstock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEXTS_AT_ONCE = 16


class ClassifierService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._tokenizer = AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, split_special_tokens=True
        )
        self._tokenizer.padding_side = self._tokenizer.truncation_side = "right"
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        network = AutoModelForSequenceClassification.from_pretrained(
            str(directory), dtype=torch.float32, local_files_only=True
        )
        self._network = network.eval().to(self._device)

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return `{"label", "probability"}`, the likeliest label of each text.

        `rows` is a list of strings or a table with the column `text` (or one column). There are no params.
        """
        column = rows["text" if "text" in rows else rows.columns[0]] if hasattr(rows, "columns") else rows
        texts = [str(text) for text in column]
        answers = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            answers += self._label(texts[start : start + TEXTS_AT_ONCE])
        return answers

    def _label(self, texts: list[str]) -> list[dict[str, Any]]:
        import torch

        # an empty text still needs a token to answer from, as in training
        token_ids = [
            each or [self._tokenizer.eos_token_id] for each in self._tokenizer(texts, truncation=True)["input_ids"]
        ]
        batch = self._tokenizer.pad({"input_ids": token_ids}, return_tensors="pt")
        with torch.inference_mode():
            logits_BK = self._network(
                input_ids=batch["input_ids"].to(self._device), attention_mask=batch["attention_mask"].to(self._device)
            ).logits
        best = logits_BK.float().softmax(-1).max(-1)
        names = self._network.config.id2label
        return [
            {"label": names[index], "probability": probability}
            for index, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
