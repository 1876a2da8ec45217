"""Predict the next token (Radford et al. 2018).

text     the  cat  sat  on   the
inputs   the  cat  sat  on
labels   cat  sat  on   the
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict

from lm_modules.objectives import Batch, Objective, Vocabulary

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from configs.model import ModelConfig


class CausalLm(Objective):
    """Next-token prediction with the decoder; a row reads across the documents packed into it."""

    model_config = ConfigDict(title="Causal language modelling")

    kind: Literal["causal_lm"] = "causal_lm"
    """Predict the next token."""

    def row_length(self, context_length: int) -> int:
        """Return one token more than is read: the label of the last."""
        return context_length + 1

    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Shift by one; nothing is drawn."""
        return {"tokens": tokens_BL[:, :-1], "labels": tokens_BL[:, 1:]}

    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
        """Return the decoder."""
        from lm_modules.model.transformer import build_decoder

        scales = model.parametrization.scales(model, vocabulary.size, batch_tokens)
        return build_decoder(model, vocabulary.size, scales)

    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss": mean nats per token}."""
        from lm_modules.model.vocabulary_loss import vocabulary_loss

        hidden_BLD = network.hidden(batch["tokens"])
        labels_N = batch["labels"].flatten()
        loss = vocabulary_loss(hidden_BLD.flatten(0, 1), network.readout_weight, labels_N, network.readout_scale)
        return {"loss": loss}

    def backbone(self, network: Any) -> nn.Module:
        """Return the decoder itself."""
        return network
