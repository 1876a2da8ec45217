"""Metrics: functions of column sums over examples.

A metric turns one example into a row of numbers, and the sum of such rows into its value. A bootstrap replicate is then
one row of `counts_RN @ statistics_NC`, so that intervals and paired tests need no code per metric.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from configs.component import Component

if TYPE_CHECKING:
    from numpy.typing import NDArray


def labels_in(answer: Any) -> frozenset[str]:
    """Return the labels of an answer that is one, or a list of them."""
    return frozenset([answer] if isinstance(answer, str) else answer)


class Metric(Component):
    """How good predictions are, as a function of sums over examples."""

    higher_is_better: ClassVar[bool] = True
    """Whether a larger value is a better one."""
    scores: ClassVar[tuple[str, ...]]
    """Of which answers it tells how good they are (`Head.answers`)."""
    best: ClassVar[float] = 1.0
    """The value of answers that all are right."""

    @abstractmethod
    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return the row of one example; rows of all examples have one length."""

    @abstractmethod
    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return the metric of column sums, [..., columns] -> [...]: all bootstrap replicates in one call."""
