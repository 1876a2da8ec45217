"""F1 of answers: how many words they have in common with a right one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric
from lm_modules.evaluation.metrics._answers import references_of, words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AnswerF1(Metric):
    """Mean over the questions of the best F1 of words with a right answer; as SQuAD counts it.

    Words are compared as for `exact_match`. Without an answer, F1 is 1 if nothing is answered and 0 otherwise
    (SQuAD 2.0: Rajpurkar et al. 2018, arXiv 1806.03822). From 0 to 1, where the scripts print percent.
    """

    scores: ClassVar[tuple[str, ...]] = ("passages",)

    kind: Literal["answer_f1"] = "answer_f1"

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (F1 with the right answer that is nearest, 1)."""
        words = words_of(prediction)
        return max(_f1(words, right) for right in references_of(reference)), 1.0

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return the mean of F1."""
        return sums[..., 0] / sums[..., 1]


def _f1(words: Sequence[str], right: Sequence[str]) -> float:
    if not words or not right:
        return float(words == right)
    common = sum((Counter(words) & Counter(right)).values())
    return 2 * common / (len(words) + len(right))
