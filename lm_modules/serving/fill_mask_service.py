"""Fill in the hidden tokens of texts with a stock masked language model.

Copied into every registered model of this kind, which must open without Rootstock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class FillMaskService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
        self._network = AutoModelForMaskedLM.from_pretrained(str(directory), local_files_only=True).eval()

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[str]:
        """Return each text with its mask tokens replaced by the likeliest ones."""
        texts = rows[rows.columns[0]] if hasattr(rows, "columns") else rows
        return [self._filled(str(text)) for text in texts]

    def _filled(self, text: str) -> str:
        import torch

        tokens_BL = self._tokenizer(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            likeliest_BL = self._network(input_ids=tokens_BL).logits.argmax(-1)
        hidden_BL = tokens_BL == self._tokenizer.mask_token_id
        return str(self._tokenizer.decode(torch.where(hidden_BL, likeliest_BL, tokens_BL)[0]))
