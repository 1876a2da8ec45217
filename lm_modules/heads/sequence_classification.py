"""One label for a whole text, or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.heads import Encoded, Fields, Head, Prediction
from lm_modules.heads._batches import inputs_of, outputs_of
from lm_modules.heads._fields import label_of, list_of, text_of
from lm_modules.heads._label_weights import balanced_weights
from lm_modules.heads._texts import is_cut, tokens_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class SequenceClassification(Head):
    """One label for a whole text, or several, by `transformers.AutoModelForSequenceClassification`.

    A decoder answers from its last token, an encoder from its pooler. The text is encoded by the tokenizer alone,
    so that `transformers.pipeline("text-classification")` on the saved model sees what training saw.
    """

    inputs: ClassVar[tuple[str, ...]] = ("text",)
    of_examples: ClassVar[tuple[str, ...]] = ("multi_label",)
    weighs_labels: ClassVar[bool] = True
    target: ClassVar[str] = "label"
    answers: ClassVar[str] = "labels"
    metrics: ClassVar[tuple[str, ...]] = ("macro_f1", "accuracy")
    baselines: ClassVar[tuple[str, ...]] = ("majority", "tfidf")
    service: ClassVar[str] = "classifier"
    pipeline_tag: ClassVar[str] = "text-classification"
    usage: ClassVar[str] = """\
from transformers import pipeline

classify = pipeline("text-classification", model=directory)
classify("The text to classify.", truncation=True)"""

    kind: Literal["sequence_classification"] = "sequence_classification"
    multi_label: bool = False
    """A text may have several labels, or none: `label` is a list, or a string with commas between them."""

    def usage_of(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
        """Return the lines, with all labels that are rather there than not where there may be several."""
        if not self.multi_label:
            return self.usage
        *lines, last = self.usage.splitlines()
        all_of_them = last.replace("truncation=True", "top_k=None, truncation=True")
        return "\n".join([*lines, f'[each["label"] for each in {all_of_them} if each["score"] > 0.5]'])

    def checked(self, fields: Fields) -> dict[str, Any]:
        """Return the texts, and the label as a string, or the labels as a sorted list."""
        found: dict[str, Any] = {name: text_of(fields, name) for name in self.inputs}
        if self.target in fields:
            value = fields[self.target]
            if self.multi_label:
                labels = list_of(value, self.target, separator=",")
                found[self.target] = sorted({label_of(each, self.target) for each in labels})
            else:
                found[self.target] = label_of(value, self.target)
        return found

    def classes(self, fields: Fields) -> tuple[str, ...]:
        """Return the label, or the labels."""
        value = fields[self.target]
        return (value,) if isinstance(value, str) else tuple(value)

    def auto_class(self, base: str | Path) -> Any:
        """Return `AutoModelForSequenceClassification`."""
        from transformers import AutoModelForSequenceClassification

        return AutoModelForSequenceClassification

    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock classifier; the labels are its `config.id2label`."""
        from lm_modules.model.stock import open_model, open_tokenizer

        model = open_model(
            self.auto_class(base),
            base,
            from_random_weights=from_random_weights,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            problem_type="multi_label_classification" if self.multi_label else "single_label_classification",
        )
        # a stock decoder finds the last token of a row by where padding begins
        model.config.pad_token_id = open_tokenizer(base).pad_token_id
        return model

    def encode(self, fields: Fields, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[Encoded]:
        """Return the beginning of the text, and the number of the label or a one at each of the labels."""
        found = self._tokens(fields, tokenizer)
        segments = found.get("token_type_ids", [])
        target: Any = None
        if self.target in fields:
            asked = self.classes(fields)
            target = [float(each in asked) for each in labels] if self.multi_label else labels.index(asked[0])
        # an empty text still needs a token to answer from
        token_ids = found["input_ids"] or [tokenizer.eos_token_id]
        return [Encoded(token_ids, target, token_type_ids=segments if any(segments) else None, is_cut=is_cut(found))]

    def _tokens(self, fields: Fields, tokenizer: PreTrainedTokenizerBase) -> Any:
        return tokens_of(tokenizer, fields["text"])

    def balanced(self, encoded: Sequence[Sequence[Encoded]]) -> Sequence[Sequence[Encoded]]:
        """Return the rows with the weights of their labels; of several, each counts as often there as not there."""
        targets = [row.target for (row,) in encoded]
        if not self.multi_label:
            weight_of = balanced_weights(targets)
            return [[replace(row, weights=weight_of[row.target])] for (row,) in encoded]
        weights_of = [balanced_weights(each) for each in zip(*targets, strict=True)]
        return [
            [replace(row, weights=[of[there] for of, there in zip(weights_of, row.target, strict=True)])]
            for (row,) in encoded
        ]

    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return the inputs, and `labels` and their `weights`, [batch] or [batch, labels], where all are known."""
        import torch

        batch = inputs_of(encoded, pad_token_id)
        if all(each.target is not None for each in encoded):
            batch["labels"] = torch.tensor([each.target for each in encoded])
        if all(each.weights is not None for each in encoded):
            batch["weights"] = torch.tensor([each.weights for each in encoded])
        return batch

    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy in nats; of several labels the binary ones of each."""
        from lm_modules.model.stock import labels_of

        logits_BK, names = outputs_of(network, batch), labels_of(network)
        losses = self.row_losses(logits_BK, batch["labels"], names, label_smoothing)
        return (losses * batch["weights"] if "weights" in batch else losses).mean()

    def row_losses(
        self, logits_BK: Tensor, labels: Tensor, names: Sequence[str], label_smoothing: float = 0.0
    ) -> Tensor:
        """Return the loss of each row, [batch], or of each of its labels, [batch, labels], where there are several.

        `labels` are those of `collate`, `names` those of the K outputs.
        """
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        if self.multi_label:
            smoothed_BK = labels * (1 - label_smoothing) + label_smoothing / 2
            return binary_cross_entropy_with_logits(logits_BK, smoothed_BK, reduction="none")
        return cross_entropy(logits_BK, labels, label_smoothing=label_smoothing, reduction="none")

    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return the most probable label of each row, or all labels that are rather there than not."""
        import torch

        from lm_modules.model.stock import labels_of

        with torch.inference_mode():
            logits_BK = outputs_of(network, batch)
        names = labels_of(network)
        losses: list[float] | list[None] = [None] * len(logits_BK)
        if "labels" in batch:
            losses = self.row_losses(logits_BK, batch["labels"], names).reshape(len(logits_BK), -1).mean(-1).tolist()
        answers = _several(logits_BK, names) if self.multi_label else _one(logits_BK, names)
        return [Prediction(*answer, loss) for answer, loss in zip(answers, losses, strict=True)]


def _one(logits_BK: Tensor, names: Sequence[str]) -> list[tuple[str, float]]:
    """Return the most probable label of each row, and its probability."""
    best = logits_BK.softmax(-1).max(-1)
    return [(names[index], value) for index, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def _several(logits_BK: Tensor, names: Sequence[str]) -> list[tuple[list[str], float]]:
    """Return the labels above one half, and the probability that all of them are right and no other is."""
    from torch.nn.functional import logsigmoid

    found = zip((logits_BK > 0).tolist(), logsigmoid(logits_BK.abs()).sum(-1).tolist(), strict=True)
    return [
        ([name for name, there in zip(names, row, strict=True) if there], math.exp(log_probability))
        for row, log_probability in found
    ]
