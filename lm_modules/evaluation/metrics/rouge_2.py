"""ROUGE-2: how many pairs of words are those of the reference."""

from __future__ import annotations

from typing import ClassVar, Literal

from lm_modules.evaluation.metrics._rouge import Rouge


class Rouge2(Rouge):
    """Mean F1 of the pairs of words that an answer and its reference share, as `rouge_score`'s `rouge2` (Lin 2004)."""

    variant: ClassVar[str] = "rouge2"

    kind: Literal["rouge_2"] = "rouge_2"
