"""The encoder as `ModernBertForMaskedLM`, and beside it `ModernBertForSequenceClassification` for pairs of segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lm_modules.export.architectures.eurobert_pair import FOLDER, LABELS, EurobertPair
from lm_modules.export.architectures.modernbert import Modernbert

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from configs.model import ModelConfig


class ModernbertPair(EurobertPair):
    """The pair is answered for from its first token ("cls" pooling)."""

    kind: Literal["modernbert_pair"] = "modernbert_pair"  # type: ignore[assignment]

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded encoder."""
        return Modernbert().stock(network.encoder, model, vocab_size, ids)

    def beside(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> dict[str, Any]:
        """Return the encoder with the head for pairs."""
        import torch
        from transformers import ModernBertConfig, ModernBertForSequenceClassification

        from lm_modules.export.folding import scaled
        from lm_modules.export.folding_modernbert import fold_modernbert, modernbert_settings

        settings = modernbert_settings(model, vocab_size, ids)
        stock = ModernBertForSequenceClassification(ModernBertConfig(**settings, **LABELS, classifier_pooling="cls"))
        weights = fold_modernbert(network.encoder.state_dict(), model, network.encoder.scales)
        weights.pop("decoder.weight")
        weights["head.norm.weight"] = torch.ones_like(weights["head.norm.weight"])
        for name, part in (("head.dense", network.dense), ("classifier", network.answer)):
            weights[f"{name}.weight"] = scaled(part.weight.detach(), part.scale.forward)
        weights["classifier.bias"] = torch.zeros_like(network.answer.weight[:, 0])
        stock.load_state_dict(weights, strict=True)
        return {FOLDER: stock.eval()}
