"""What the ROUGE metrics have in common (Lin 2004, https://aclanthology.org/W04-1013)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.evaluation.metrics import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rouge_score.rouge_scorer import RougeScorer


class Rouge(Metric):
    """The mean over the examples of an F1, from 0 to 1, as `rouge_score` counts it."""

    scores: ClassVar[tuple[str, ...]] = ("texts",)
    variant: ClassVar[str]
    """Its name in `rouge_score`."""

    words: Literal["english", "english_stems", "any"] = "english"
    """What a word is: runs of a to z and figures, as `rouge_score` has it, for which all other letters are white space;
    the same, and words with one stem are equal (Porter 1980); or runs of letters and figures of any script, each letter
    by itself where a script puts no spaces between words."""

    def statistics(self, prediction: Any, reference: Any, labels: Sequence[str]) -> tuple[float, ...]:
        """Return (F1, 1)."""
        found = _scorer(self.variant, self.words).score(reference, prediction)
        return float(found[self.variant].fmeasure), 1.0

    def value(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Return the mean F1."""
        return sums[..., 0] / sums[..., 1]


class _WordsOfAnyScript:
    """A tokenizer for `rouge_score`."""

    def tokenize(self, text: str) -> list[str]:
        import regex

        from lm_modules.data.text_words import words_of

        return list(words_of(" ".join(regex.findall(r"[\p{L}\p{M}\p{N}]+", text.lower()))))


@cache
def _scorer(variant: str, words: str) -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer

    tokenizer = _WordsOfAnyScript() if words == "any" else None
    return RougeScorer([variant], use_stemmer=words == "english_stems", tokenizer=tokenizer)
