"""The discriminator as `ModernBertForTokenClassification`: whether a token was replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lm_modules.export.architectures.eurobert_detector import LABELS, EurobertDetector, detector_head

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from configs.model import ModelConfig


class ModernbertDetector(EurobertDetector):
    """The same two logits as EuroBERT's."""

    kind: Literal["modernbert_detector"] = "modernbert_detector"  # type: ignore[assignment]

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded discriminator."""
        import torch
        from transformers import ModernBertConfig, ModernBertForTokenClassification

        from lm_modules.export.folding_modernbert import fold_modernbert, modernbert_settings

        config = ModernBertConfig(**modernbert_settings(model, vocab_size, ids), **LABELS)
        stock = ModernBertForTokenClassification(config)
        weights = fold_modernbert(network.discriminator.state_dict(), model, network.discriminator.scales)
        weights.pop("decoder.weight", None)
        weights["head.norm.weight"] = torch.ones_like(weights["head.norm.weight"])
        stock.load_state_dict(weights | detector_head(network), strict=True)
        return stock.eval()
