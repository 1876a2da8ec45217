"""BLEU: how many runs of up to four words are those of the reference (Papineni et al. 2002)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sacrebleu.metrics import BLEU

ORDER = 4
"""Longest run of words."""


class Bleu(Metric):
    """Corpus BLEU from 0 to 100, as `sacrebleu.corpus_bleu` with one reference (Post 2018, arXiv 1804.08771).

    The geometric mean of the four precisions, times a penalty where all answers together are shorter than all
    references. A precision without any hit counts as half, a fourth, an eighth ... of one (sacrebleu's `exp`).
    """

    scores: ClassVar[tuple[str, ...]] = ("texts",)
    best: ClassVar[float] = 100.0

    kind: Literal["bleu"] = "bleu"
    tokenize: Literal["13a", "intl", "char", "zh"] = "13a"
    """What a word is: `13a` for languages with spaces, `intl` by the classes of Unicode, `zh` for Chinese, `char` for
    other scripts without spaces."""
    lowercase: bool = False
    """Take capitals for small letters."""

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return words of the prediction, of the reference, and by length of run the right ones, and all."""
        found = _counter(self.tokenize, self.lowercase).corpus_score([prediction], [[reference]])
        return tuple(map(float, (found.sys_len, found.ref_len, *found.counts, *found.totals)))

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return BLEU."""
        import numpy as np

        written, asked, right, runs = sums[..., 0], sums[..., 1], sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
        halvings = np.where(right == 0, 2.0 ** np.cumsum(right == 0, axis=-1), 1.0)
        precisions = np.where(right == 0, 1.0, right) / halvings / np.maximum(runs, 1.0)
        brevity = np.exp(np.minimum(0.0, 1 - asked / np.maximum(written, 1.0)))
        found = 100 * brevity * np.exp(np.log(precisions).mean(axis=-1))
        # no hits at all, or answers too short for the longest run
        return np.where((right > 0).any(axis=-1) & (runs > 0).all(axis=-1), found, 0.0)


@cache
def _counter(tokenize: str, lowercase: bool) -> BLEU:
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=tokenize, lowercase=lowercase, max_ngram_order=ORDER)
