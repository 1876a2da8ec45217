"""Heads: what a fine-tuned model is asked to produce, on stock `transformers` models.

A head knows how an example becomes token ids, which stock architecture answers, what its loss is and how an answer is
read. Training and evaluation know none of these.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from configs.component import Component

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


PAD_MULTIPLE = 8
"""Fewer different shapes of batches: a CPU keeps compiled kernels for each (a fifth of the memory of a fine-tuning)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as the model reads it."""

    token_ids: list[int]
    target: Any = None
    """What the loss compares with; None where there is no answer to learn from."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model answers to one example."""

    value: Any
    probability: float
    """The model's own probability of this answer, from 0 to 1."""
    loss: float | None = None
    """The example's loss in nats, where its target is known."""


class Head(Component):
    """What a fine-tuned model is asked to produce."""

    metrics: ClassVar[tuple[str, ...]]
    """Kinds of the metrics that are reported in training, the most telling one first."""

    @abstractmethod
    def auto_class(self) -> Any:
        """Return the class of `transformers` that opens models with this head."""

    @abstractmethod
    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock model of `base` with this head in float32; the head, or all of it, newly initialised.

        Initialisation draws from torch's global generator. The labels are kept in `config.id2label`.
        """

    @abstractmethod
    def encode(
        self, text: str, label: str | None, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]
    ) -> Encoded:
        """Return the token ids, at most `tokenizer.model_max_length`, and the target."""

    @abstractmethod
    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return a batch, padded on the right to its longest row, rounded up to a multiple of `PAD_MULTIPLE`."""

    @abstractmethod
    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean loss in nats, in float32."""

    @abstractmethod
    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return one answer for each row of the batch, without gradients."""
