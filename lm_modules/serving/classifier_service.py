"""Label texts, or pairs of them, with a stock classifier; what a registered classifier does when it is served.

Copied into every registered classifier, which must open without Rootstock.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

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

        `rows` is a list of strings or a table with the column `text` (or one column), and `text_pair` if the model was
        taught pairs. There are no params. A model that gives several labels gives them with commas between them, and
        the probability that these are all.
        """
        return [answer for logits_BK in self.logits(*texts_and_pairs(rows)) for answer in self._labels(logits_BK)]

    def logits(self, texts: list[str], pairs: list[str] | None) -> Iterator[Tensor]:
        """Yield the outputs for some of the texts at a time, [batch, labels], in float32."""
        import torch

        for start in range(0, len(texts), TEXTS_AT_ONCE):
            some, beside = texts[start : start + TEXTS_AT_ONCE], pairs and pairs[start : start + TEXTS_AT_ONCE]
            if beside and self._tokenizer.sep_token_id is None:
                some = [f"{text}\n" for text in some]
            found = self._tokenizer(some, beside, truncation=True)
            # an empty text still needs a token to answer from, as in training
            found["input_ids"] = [each or [self._tokenizer.eos_token_id] for each in found["input_ids"]]
            found["attention_mask"] = [[1] * len(each) for each in found["input_ids"]]
            if beside is None:
                found.pop("token_type_ids", None)
            batch = self._tokenizer.pad(found, return_tensors="pt").to(self._device)
            with torch.inference_mode():
                yield self._network(**batch).logits.float()

    def _labels(self, logits_BK: Tensor) -> list[dict[str, Any]]:
        import torch

        names = self._network.config.id2label
        if self._network.config.problem_type == "multi_label_classification":
            certain = torch.nn.functional.logsigmoid(logits_BK.abs()).sum(-1).exp()
            return [
                {
                    "label": ", ".join(names[place] for place, there in enumerate(row) if there),
                    "probability": probability,
                }
                for row, probability in zip((logits_BK > 0).tolist(), certain.tolist(), strict=True)
            ]
        best = logits_BK.softmax(-1).max(-1)
        return [
            {"label": names[index], "probability": probability}
            for index, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]


def texts_and_pairs(rows: Any) -> tuple[list[str], list[str] | None]:
    """Return the texts of a list or a table, and those of the column `text_pair` if there is one."""
    columns = list(getattr(rows, "columns", []))
    texts = [str(text) for text in (rows["text" if "text" in columns else columns[0]] if columns else rows)]
    return texts, [str(text) for text in rows["text_pair"]] if "text_pair" in columns else None
