"""The encoder as `EuroBertForMaskedLM` (Boizard et al. 2025, arXiv 2503.05500): a Llama that reads both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.export.architectures import Architecture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from configs.model import ModelConfig


class Eurobert(Architecture):
    """Rotary positions, grouped-query attention, RMSNorm, gated SiLU, no causal mask."""

    kind: Literal["eurobert"] = "eurobert"
    task: ClassVar[str] = "fill-mask"
    model_type: ClassVar[str | None] = "eurobert"
    auto_class: ClassVar[str] = "AutoModelForMaskedLM"

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded encoder."""
        from transformers import EuroBertConfig, EuroBertForMaskedLM

        from lm_modules.export.folding import fold, llama_settings

        stock = EuroBertForMaskedLM(EuroBertConfig(**llama_settings(model, vocab_size), **ids))
        stock.load_state_dict(fold(network.state_dict(), model, network.scales), strict=True)
        return stock.eval()

    def shape(self, stock: Any) -> dict[str, Any]:
        """Return the shape of a stock model."""
        from lm_modules.export.stock_shapes import llama_shape

        return llama_shape(stock)

    def unfolded(self, stock: Mapping[str, Tensor], network: Any, model: ModelConfig) -> dict[str, Tensor]:
        """Return our weights."""
        from lm_modules.export.folding import unfold

        return unfold(stock, model, network.scales)

    def difference(self, network: nn.Module, stock: Any, vocab_size: int, lengths: list[int]) -> float:
        """Compare logits, also behind padding."""
        from lm_modules.export.parity import largest, logit_difference, padded_difference

        plain = logit_difference(network, lambda tokens: stock(input_ids=tokens).logits, vocab_size, lengths)
        return largest(plain, padded_difference(network, stock, vocab_size, max(lengths)))
