"""One label for a whole text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.heads import PAD_MULTIPLE, Encoded, Head, Prediction

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class SequenceClassification(Head):
    """One label for a whole text, by `transformers.AutoModelForSequenceClassification`.

    A decoder answers from its last token, an encoder from its pooler. The text is encoded by the tokenizer alone,
    so that `transformers.pipeline("text-classification")` on the saved model sees what training saw.
    """

    kind: Literal["sequence_classification"] = "sequence_classification"
    metrics: ClassVar[tuple[str, ...]] = ("macro_f1", "accuracy")

    def auto_class(self) -> Any:
        """Return `AutoModelForSequenceClassification`."""
        from transformers import AutoModelForSequenceClassification

        return AutoModelForSequenceClassification

    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock classifier; the labels are its `config.id2label`."""
        from lm_modules.model.stock import open_model, open_tokenizer

        model = open_model(
            self.auto_class(),
            base,
            from_random_weights=from_random_weights,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            problem_type="single_label_classification",
        )
        # a stock decoder finds the last token of a row by where padding begins
        model.config.pad_token_id = open_tokenizer(base).pad_token_id
        return model

    def encode(
        self, text: str, label: str | None, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]
    ) -> Encoded:
        """Return the beginning of the text and the number of the label."""
        token_ids = tokenizer(text, truncation=True)["input_ids"]
        # an empty text still needs a token to answer from
        return Encoded(token_ids or [tokenizer.eos_token_id], None if label is None else labels.index(label))

    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return `input_ids` and `attention_mask`, [batch, length], and `labels`, [batch], where all are known."""
        import torch

        longest = max(len(each.token_ids) for each in encoded)
        longest = math.ceil(longest / PAD_MULTIPLE) * PAD_MULTIPLE
        tokens_BL = torch.full((len(encoded), longest), pad_token_id)
        mask_BL = torch.zeros_like(tokens_BL)
        for row, each in enumerate(encoded):
            tokens_BL[row, : len(each.token_ids)] = torch.tensor(each.token_ids)
            mask_BL[row, : len(each.token_ids)] = 1
        batch = {"input_ids": tokens_BL, "attention_mask": mask_BL}
        if all(each.target is not None for each in encoded):
            batch["labels"] = torch.tensor([each.target for each in encoded])
        return batch

    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy in nats, in float32."""
        from torch.nn.functional import cross_entropy

        logits_BK = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return cross_entropy(logits_BK.float(), batch["labels"], label_smoothing=label_smoothing)

    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return the most probable label of each row."""
        import torch

        from lm_modules.model.stock import labels_of

        with torch.inference_mode():
            logits_BK = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        log_probabilities_BK = logits_BK.float().log_softmax(-1)
        best = log_probabilities_BK.max(-1)
        losses: list[float] | list[None] = [None] * len(logits_BK)
        if "labels" in batch:
            losses = (-log_probabilities_BK.gather(1, batch["labels"][:, None])[:, 0]).tolist()
        names = labels_of(network)
        answers = zip(best.indices.tolist(), best.values.exp().tolist(), losses, strict=True)
        return [Prediction(names[index], probability, loss) for index, probability, loss in answers]
