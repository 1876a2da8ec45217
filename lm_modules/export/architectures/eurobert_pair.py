"""The encoder as `EuroBertForMaskedLM`, and beside it `EuroBertForSequenceClassification` for pairs of segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.export.architectures.eurobert import Eurobert

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from configs.model import ModelConfig

FOLDER = "next_sentence"
LABELS: dict[str, Any] = {"id2label": {0: "random", 1: "next"}, "label2id": {"random": 0, "next": 1}}


class EurobertPair(Eurobert):
    """The pair is answered for from its first token ("bos" pooling)."""

    kind: Literal["eurobert_pair"] = "eurobert_pair"  # type: ignore[assignment]
    model_type: ClassVar[str | None] = None

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded encoder."""
        return super().stock(network.encoder, model, vocab_size, ids)

    def beside(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> dict[str, Any]:
        """Return the encoder with the head for pairs."""
        import torch
        from transformers import EuroBertConfig, EuroBertForSequenceClassification

        from lm_modules.export.folding import fold, llama_settings, scaled

        settings: dict[str, Any] = llama_settings(model, vocab_size) | ids
        stock = EuroBertForSequenceClassification(EuroBertConfig(**settings, **LABELS, classifier_pooling="bos"))
        weights = fold(network.encoder.state_dict(), model, network.encoder.scales)
        weights.pop("lm_head.weight", None)
        for name, part in (("dense", network.dense), ("classifier", network.answer)):
            weights[f"{name}.weight"] = scaled(part.weight.detach(), part.scale.forward)
            weights[f"{name}.bias"] = torch.zeros_like(part.weight[:, 0])
        if model.tied_embeddings:  # the last norm's gain is the readout's: the head must be freed of it
            gain = weights["model.norm.weight"][0].item()
            weights["dense.weight"] = weights["dense.weight"] / gain
        stock.load_state_dict(weights, strict=True)
        return {FOLDER: stock.eval()}

    def difference(self, network: Any, stock: Any, vocab_size: int, lengths: list[int]) -> float:
        """Compare the encoder's logits."""
        return super().difference(network.encoder, stock, vocab_size, lengths)

    def difference_beside(
        self, network: nn.Module, stock: dict[str, Any], vocab_size: int, lengths: list[int]
    ) -> float:
        """Compare the answers, also behind padding."""
        import torch

        from lm_modules.export.parity import logit_difference, padded_answer_difference

        pair = stock[FOLDER]
        plain = logit_difference(network, lambda tokens: pair(input_ids=tokens).logits, vocab_size, lengths)
        padded = padded_answer_difference(network, pair, vocab_size, max(lengths))
        return torch.tensor((plain, padded)).max().item()  # which stays NaN where one is
