"""What is learned from unlabelled text. A family: one objective a file.

An objective turns rows of tokens into inputs and labels, owns the network that its loss needs, and says what of that
network fine-tuning keeps. One LightningModule trains all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from configs.component import Component

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from configs.model import ModelConfig

Batch = dict[str, "Tensor"]
"""Named tensors whose first axis is the row; "labels" is always there, and its -100 are not scored."""

NOT_SCORED = -100


@dataclass(frozen=True)
class Vocabulary:
    """What an objective needs to know of the tokenizer."""

    size: int
    end_of_text_id: int


class Objective(Component):
    """Base of the family."""

    @abstractmethod
    def row_length(self, context_length: int) -> int:
        """Return how many tokens of text a row takes so that the model reads `context_length` of them."""
        raise NotImplementedError

    @abstractmethod
    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Turn rows of text into inputs and labels; equal generators give equal batches."""
        raise NotImplementedError

    @abstractmethod
    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
        """Return the backbone plus what the loss needs, not yet initialised."""
        raise NotImplementedError

    @abstractmethod
    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return means over the scored labels, in nats and float32: "loss" is minimised, the rest is reported."""
        raise NotImplementedError

    @abstractmethod
    def backbone(self, network: Any) -> nn.Module:
        """Return the part that the export folds and fine-tuning keeps."""
        raise NotImplementedError
