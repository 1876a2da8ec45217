"""Answer texts with a stock encoder-decoder.

Copied into every registered model of this kind, which must open without Rootstock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class TextToTextService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
        self._network = AutoModelForSeq2SeqLM.from_pretrained(str(directory), local_files_only=True).eval()

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[str]:
        """Return what the model writes to each text; `params` may hold `max_new_tokens`."""
        texts = rows[rows.columns[0]] if hasattr(rows, "columns") else rows
        return [self._written(str(text), int((params or {}).get("max_new_tokens", 128))) for text in texts]

    def _written(self, text: str, max_new_tokens: int) -> str:
        import torch

        tokens_BL = self._tokenizer(text + self._tokenizer.eos_token, return_tensors="pt").input_ids
        with torch.inference_mode():
            written_BL = self._network.generate(
                input_ids=tokens_BL,
                max_new_tokens=max_new_tokens,
                eos_token_id=self._tokenizer.eos_token_id,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        return str(self._tokenizer.decode(written_BL[0, 1:]))
