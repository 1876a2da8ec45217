"""Stock Hugging Face architectures that our networks are folded into: one a file."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from configs.component import Component

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from configs.model import ModelConfig


class Architecture(Component):
    """Folds a trained network into an unmodified architecture and says how the two compare.

    One that names a `model_type` also reads stock models: `shape` and `unfolded` are the way back.
    """

    model_type: ClassVar[str | None] = None
    """Stock models of this `model_type` (config.json) can become our network; None where none can."""

    task: ClassVar[str]
    """What the model does, as the pipelines of `transformers` name it."""
    auto_class: ClassVar[str]
    """The class of `transformers` that opens the directory."""

    @abstractmethod
    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the stock model with the network's weights; `ids` are `pad_token_id` and the like."""
        raise NotImplementedError

    def beside(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> dict[str, Any]:
        """Return further stock models by the folder that they are written to, inside the directory of the first."""
        return {}

    def shape(self, stock: Any) -> dict[str, Any]:
        """Return the fields of our `ModelConfig` that a stock configuration tells.

        What our network cannot hold is a ValueError with the reason.
        """
        raise NotImplementedError(f"{self.kind} reads no stock model")

    def unfolded(self, stock: Mapping[str, Tensor], network: Any, model: ModelConfig) -> dict[str, Tensor]:
        """Return the weights of our network by name for those of a stock model: the inverse of the fold."""
        raise NotImplementedError(f"{self.kind} reads no stock model")

    @abstractmethod
    def difference(self, network: nn.Module, stock: Any, vocab_size: int, lengths: list[int]) -> float:
        """Return the largest absolute difference of logits on random texts of these lengths."""
        raise NotImplementedError

    def same_tokens(
        self, network: nn.Module, stock: Any, vocab_size: int, num_tokens: int, tolerance: float
    ) -> int | None:
        """Return how many of so many greedily written tokens agree; None where the model does not write."""
        return None

    def difference_beside(
        self, network: nn.Module, stock: dict[str, Any], vocab_size: int, lengths: list[int]
    ) -> float:
        """Return the same for the further models."""
        return 0.0
