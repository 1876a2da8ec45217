"""ROUGE-1: how many words are those of the reference."""

from __future__ import annotations

from typing import ClassVar, Literal

from lm_modules.evaluation.metrics._rouge import Rouge


class Rouge1(Rouge):
    """Mean F1 of the words that an answer and its reference share, as `rouge_score`'s `rouge1` (Lin 2004)."""

    variant: ClassVar[str] = "rouge1"

    kind: Literal["rouge_1"] = "rouge_1"
