"""A number for a text, or for two."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import PrivateAttr

from lm_modules.heads import Encoded, Fields, Head, Prediction
from lm_modules.heads._batches import inputs_of, outputs_of
from lm_modules.heads._fields import number_of, text_of
from lm_modules.heads._texts import is_cut, tokens_of

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Regression(Head):
    """A score for a text or for two, by `transformers.AutoModelForSequenceClassification` with one output.

    The network learns scores in a unit of their own size: their standard deviation, where its last layer has a bias,
    which begins at their mean; else (Llama, GPT-2) their root mean square, since the text alone must give the mean.
    The saved model answers in the unit of the data: its last layer is multiplied by that of the training.
    """

    inputs: ClassVar[tuple[str, ...]] = ("text",)
    target: ClassVar[str] = "score"
    optional: ClassVar[tuple[str, ...]] = ("text_pair",)
    smooths_labels: ClassVar[bool] = False
    gives_probability: ClassVar[bool] = False
    answers: ClassVar[str] = "numbers"
    metrics: ClassVar[tuple[str, ...]] = ("r_squared", "pearson", "mean_absolute_error")
    baselines: ClassVar[tuple[str, ...]] = ("mean",)
    service: ClassVar[str] = "regression"
    pipeline_tag: ClassVar[str] = "text-classification"
    usage: ClassVar[str] = """\
from transformers import pipeline

rate = pipeline("text-classification", model=directory, function_to_apply="none")
rate("A fine film.", truncation=True)[0]["score"]"""

    kind: Literal["regression"] = "regression"
    _mean: float = PrivateAttr(default=0.0)
    _deviation: float = PrivateAttr(default=1.0)

    def checked(self, fields: Fields) -> dict[str, Any]:
        """Return the text, the second text if there is one, and the score as a finite number."""
        found: dict[str, Any] = {"text": text_of(fields, "text")}
        if fields.get("text_pair") not in (None, ""):  # a table has either where nothing stands
            found["text_pair"] = text_of(fields, "text_pair")
        if self.target in fields:
            found[self.target] = number_of(fields[self.target], self.target)
        return found

    def text(self, fields: Fields) -> str:
        """Return the text, or both."""
        return "\n".join(fields[name] for name in ("text", "text_pair") if name in fields)

    def fitted(self, examples: Sequence[Fields]) -> Self:
        """Return the head with the mean and the deviation of the scores."""
        scores = [each[self.target] for each in examples]
        mean = sum(scores) / len(scores)
        found = self.model_copy()
        found._mean, found._deviation = mean, sqrt(sum((each - mean) ** 2 for each in scores) / len(scores)) or 1.0
        return found

    def make_independent(self, network: nn.Module) -> None:
        """Let the network answer in the unit of the data."""
        import torch

        with torch.no_grad():
            for weight in last_layer(network).parameters():
                weight.mul_(self._unit(network))

    def _unit(self, network: nn.Module) -> float:
        """Return how much of the data's unit an output of 1 stands for in training."""
        mean = 0.0 if last_layer(network).bias is not None else self._mean
        return sqrt(self._deviation**2 + mean**2)

    def auto_class(self, base: str | Path) -> Any:
        """Return `AutoModelForSequenceClassification`."""
        from transformers import AutoModelForSequenceClassification

        return AutoModelForSequenceClassification

    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock model with one output, whose last layer is new, also where the base gives scores itself."""
        from torch import nn

        from lm_modules.model.stock import open_model, open_tokenizer

        model = open_model(
            self.auto_class(base),
            base,
            from_random_weights=from_random_weights,
            id2label={0: self.target},
            label2id={self.target: 0},
            problem_type="regression",
        )
        # a stock decoder finds the last token of a row by where padding begins
        model.config.pad_token_id = open_tokenizer(base).pad_token_id
        layer = last_layer(model)
        nn.init.normal_(layer.weight, std=getattr(model.config, "initializer_range", 0.02))
        if layer.bias is not None:
            nn.init.constant_(layer.bias, self._mean / self._unit(model))
        return model

    def encode(self, fields: Fields, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[Encoded]:
        """Return the beginning of the text, or of both, and the score."""
        found = tokens_of(tokenizer, fields["text"], fields.get("text_pair"))
        segments = found.get("token_type_ids", [])
        # an empty text still needs a token to answer from
        token_ids = found["input_ids"] or [tokenizer.eos_token_id]
        target, segments = fields.get(self.target), segments if any(segments) else None
        return [Encoded(token_ids, target, token_type_ids=segments, is_cut=is_cut(found))]

    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return the inputs, and `labels`, [batch], where all are known."""
        import torch

        batch = inputs_of(encoded, pad_token_id)
        if all(each.target is not None for each in encoded):
            batch["labels"] = torch.tensor([float(each.target) for each in encoded])
        return batch

    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean squared error in units of the training, no nats: a score has no probability."""
        return self._squared_errors(network, _outputs(network, batch), batch["labels"]).mean()

    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return the score of each row."""
        import torch

        with torch.inference_mode():
            output_B = _outputs(network, batch)
        losses: list[float] | list[None] = [None] * len(output_B)
        if "labels" in batch:
            losses = self._squared_errors(network, output_B, batch["labels"]).tolist()
        scores = (output_B.double() * self._unit(network)).tolist()
        return [Prediction(score, None, loss) for score, loss in zip(scores, losses, strict=True)]

    def _squared_errors(self, network: nn.Module, output_B: Tensor, score_B: Tensor) -> Tensor:
        return (output_B - score_B / self._unit(network)) ** 2


def _outputs(network: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Return what the model gives for each row, [batch].

    A stock encoder-decoder answers from the last end of a row, and wants as many ends in all rows: those of one text
    and those of two are asked apart.
    """
    if not network.config.is_encoder_decoder:
        return outputs_of(network, batch)[:, 0]
    ends_B = (batch["input_ids"] == network.config.eos_token_id).sum(-1)
    output_B = ends_B.new_zeros(len(ends_B)).float()
    for number in ends_B.unique():
        some = {name: tensor[ends_B == number] for name, tensor in batch.items()}
        output_B[ends_B == number] = outputs_of(network, some)[:, 0]
    return output_B


def last_layer(network: nn.Module) -> nn.Linear:
    """Return the linear layer that gives the score; under an adapter, the copy of it that is trained."""
    from torch import nn

    return [module for module in network.modules() if isinstance(module, nn.Linear) and module.out_features == 1][-1]
