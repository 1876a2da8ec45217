"""The discriminator as `EuroBertForTokenClassification`: whether a token was replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.export.architectures import Architecture

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from configs.model import ModelConfig

LABELS: dict[str, Any] = {"id2label": {0: "original", 1: "replaced"}, "label2id": {"original": 0, "replaced": 1}}


class EurobertDetector(Architecture):
    """Two logits a token, "original" (always 0) and "replaced", whose softmax is the sigmoid of the trained one."""

    kind: Literal["eurobert_detector"] = "eurobert_detector"
    task: ClassVar[str] = "token-classification"
    auto_class: ClassVar[str] = "AutoModelForTokenClassification"

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded discriminator."""
        import torch
        from transformers import EuroBertConfig, EuroBertForTokenClassification

        from lm_modules.export.folding import fold, llama_settings

        settings: dict[str, Any] = llama_settings(model, vocab_size) | ids
        stock = EuroBertForTokenClassification(EuroBertConfig(**settings, **LABELS))
        weights = fold(network.discriminator.state_dict(), model, network.discriminator.scales)
        weights.pop("lm_head.weight", None)
        weights["model.norm.weight"] = torch.ones_like(weights["model.norm.weight"])
        stock.load_state_dict(weights | detector_head(network), strict=True)
        return stock.eval()

    def difference(self, network: nn.Module, stock: Any, vocab_size: int, lengths: list[int]) -> float:
        """Compare the logit of "replaced"."""
        from lm_modules.export.parity import logit_difference

        return logit_difference(network, lambda tokens: stock(input_ids=tokens).logits[..., 1], vocab_size, lengths)


def detector_head(network: Any) -> dict[str, Tensor]:
    """Return the weights of the stock classifier: no logit for "original", the trained one for "replaced"."""
    import torch

    from lm_modules.export.folding import scaled

    answer_1D = scaled(network.answer.weight.detach(), network.answer.scale.forward)
    return {
        "classifier.weight": torch.cat((torch.zeros_like(answer_1D), answer_1D)),
        "classifier.bias": torch.zeros_like(answer_1D[0, :1]).repeat(2),
    }
