"""One label for two texts: whether one follows from the other, whether they mean the same or belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.heads import Fields
from lm_modules.heads._texts import between, tokens_of
from lm_modules.heads.sequence_classification import SequenceClassification

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class PairClassification(SequenceClassification):
    """A label for two texts (inference, matching, next sentence), by `AutoModelForSequenceClassification`.

    The tokenizer puts the two together as its model was trained (`[CLS] a [SEP] b [SEP]`, and which is which by
    `token_type_ids`); one that knows no separator gets a line end between them. Of a pair that is too long, the longer
    text is cut.
    """

    inputs: ClassVar[tuple[str, ...]] = ("text", "text_pair")
    service: ClassVar[str] = "pair_classifier"
    usage: ClassVar[str] = """\
from transformers import pipeline

classify = pipeline("text-classification", model=directory)
classify({"text": "A man sleeps.", "text_pair": "Somebody is awake."}, truncation=True)"""

    kind: Literal["pair_classification"] = "pair_classification"  # type: ignore[assignment]

    def usage_of(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
        """Return the lines, with what stands between the two texts in training."""
        lines = super().usage_of(model, tokenizer)
        return lines.replace("A man sleeps.", "A man sleeps.\\n") if between(tokenizer) else lines

    def _tokens(self, fields: Fields, tokenizer: PreTrainedTokenizerBase) -> Any:
        return tokens_of(tokenizer, fields["text"], fields["text_pair"])
