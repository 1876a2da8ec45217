"""Answer questions with spans of their contexts; what a registered model of this kind does when it is served.

Copied, with `spans.py`, into every registered model, which must open without Rootstock.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import spans

WINDOWS_AT_ONCE = 16


class QuestionAnsweringService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        import torch
        from transformers import (
            AutoConfig,
            AutoModelForQuestionAnswering,
            AutoModelForTokenClassification,
            AutoTokenizer,
        )
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._settings = json.loads((Path(directory) / "head.json").read_text(encoding="utf-8"))
        self._tokenizer = AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, split_special_tokens=True
        )
        self._tokenizer.padding_side = self._tokenizer.truncation_side = "right"
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        config = AutoConfig.from_pretrained(str(directory), local_files_only=True)
        answers = type(config) in AutoModelForQuestionAnswering._model_mapping
        auto_class: Any = AutoModelForQuestionAnswering if answers else AutoModelForTokenClassification
        network = auto_class.from_pretrained(str(directory), dtype=torch.float32, local_files_only=True)
        self._network = network.eval().to(self._device)

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return `{"answer", "probability"}` for each row of a table with the columns `question` and `context`.

        The answer is "" where the context has none. Where `params` has an `n_best` above 1, each has also so many
        `answers`, the best first (fewer where the context or the head's `num_best` has fewer):
        `{"answer", "probability", "start"}`, which begins at that character of the context; no answer has no start.
        """
        n_best = int((params or {}).get("n_best", 1))
        if n_best < 1:
            raise ValueError(f"n_best {n_best} asks for no answer; give at least 1")
        return [
            self._answers(str(question), str(context), n_best)
            for question, context in zip(rows["question"], rows["context"], strict=True)
        ]

    def _answers(self, question: str, context: str, n_best: int) -> dict[str, Any]:
        read = spans.windows(self._tokenizer, question, context, self._settings["overlap_tokens"])
        said: list[spans.Spans] = []
        for start in range(0, len(read), WINDOWS_AT_ONCE):
            said += self._said(read[start : start + WINDOWS_AT_ONCE])
        best = spans.best_answers(
            context,
            [each.places for each in read],
            said,
            num_best=self._settings["num_best"],
            no_answer_threshold=self._settings["no_answer_threshold"],
        )
        first = {"answer": best[0].text, "probability": best[0].probability}
        if n_best == 1:
            return first
        starts: list[dict[str, Any]] = [{} if each.start is None else {"start": each.start} for each in best]
        answers = [
            {"answer": each.text, "probability": each.probability, **start}
            for each, start in zip(best, starts, strict=True)
        ]
        return {**first, "answers": answers[:n_best]}

    def _said(self, read: list[spans.Window]) -> list[spans.Spans]:
        import torch

        found: dict[str, Any] = {"input_ids": [each.token_ids for each in read]}
        if any(each.token_type_ids for each in read):
            found["token_type_ids"] = [each.token_type_ids or [0] * len(each.token_ids) for each in read]
        batch = self._tokenizer.pad(found, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            start_BL, end_BL = spans.start_and_end(self._network(**batch))
        in_context_BL = torch.zeros_like(start_BL, dtype=torch.bool)
        for number, each in enumerate(read):
            in_context_BL[number, : len(each.places)] = torch.tensor([place is not None for place in each.places])
        return spans.best_spans(
            start_BL,
            end_BL,
            in_context_BL,
            max_answer_tokens=self._settings["max_answer_tokens"],
            num_best=self._settings["num_best"],
        )
