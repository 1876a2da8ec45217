"""ROUGE-L: the longest sequence of words, gaps allowed, that an answer and its reference have in common."""

from __future__ import annotations

from typing import ClassVar, Literal

from lm_modules.evaluation.metrics._rouge import Rouge


class RougeL(Rouge):
    """Mean F1 of the longest common subsequence of words, as `rouge_score`'s `rougeL` (Lin 2004, section 3).

    The words of a text are one sequence, whatever its sentences.
    """

    variant: ClassVar[str] = "rougeL"

    kind: Literal["rouge_l"] = "rouge_l"
