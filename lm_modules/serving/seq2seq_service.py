"""Answer texts with texts, with a stock encoder-decoder or decoder that was taught to.

Copied into every registered model of this kind, which must open without Rootstock.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Relative, because these files are copied into every registered model, which must open without Rootstock.
from .source_tokens import source_tokens


class Seq2seqService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._head = json.loads((Path(directory) / "head.json").read_text(encoding="utf-8"))
        self._tokenizer = AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, split_special_tokens=True
        )
        self._has_encoder = AutoConfig.from_pretrained(str(directory), local_files_only=True).is_encoder_decoder
        network = (AutoModelForSeq2SeqLM if self._has_encoder else AutoModelForCausalLM).from_pretrained(
            str(directory), dtype=torch.float32, local_files_only=True
        )
        self._network = network.eval().to(self._device)

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[str]:
        """Return what the model writes to each text, by the beams, lengths and penalties it was evaluated with.

        `rows` is a list of strings or a table with the column `source` (or one column). `params` may hold
        `max_new_tokens`, which ends answers earlier than the model was taught; 0 does not.
        """
        texts = rows["source" if "source" in rows else rows.columns[0]] if hasattr(rows, "columns") else rows
        longest = self._head["max_new_tokens"]
        longest = min(longest, int((params or {}).get("max_new_tokens") or longest))
        return [self._written(str(text), longest) for text in texts]

    def _written(self, text: str, max_new_tokens: int) -> str:
        import torch

        room = self._tokenizer.model_max_length - self._head["max_new_tokens"]
        tokens, _ = source_tokens(text, self._tokenizer, self._head["prompt"], room)
        tokens_BL = torch.tensor([tokens], device=self._device)
        with torch.inference_mode():
            written_BL = self._network.generate(
                input_ids=tokens_BL, attention_mask=torch.ones_like(tokens_BL), max_new_tokens=max_new_tokens
            )
        written = written_BL[0, 1 if self._has_encoder else len(tokens) :]
        return str(self._tokenizer.decode(written, skip_special_tokens=True)).strip()
