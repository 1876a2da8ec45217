"""The encoder as `ModernBertForMaskedLM` (Warner et al. 2024, arXiv 2412.13663)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.export.architectures.eurobert import Eurobert

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedModel

    from configs.model import ModelConfig


class Modernbert(Eurobert):
    """Rotary positions, LayerNorm, local and global layers, no causal mask; compared as EuroBERT is."""

    kind: Literal["modernbert"] = "modernbert"  # type: ignore[assignment]
    model_type: ClassVar[str | None] = "modernbert"

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded encoder."""
        from transformers import ModernBertConfig, ModernBertForMaskedLM

        from lm_modules.export.folding_modernbert import fold_modernbert, modernbert_settings

        stock = ModernBertForMaskedLM(ModernBertConfig(**modernbert_settings(model, vocab_size, ids)))
        stock.load_state_dict(fold_modernbert(network.state_dict(), model, network.scales), strict=True)
        return stock.eval()

    def shape(self, stock: Any) -> dict[str, Any]:
        """Return the shape of a stock model."""
        from lm_modules.export.stock_shapes import modernbert_shape

        return modernbert_shape(stock)

    def unfolded(self, stock: Mapping[str, Tensor], network: Any, model: ModelConfig) -> dict[str, Tensor]:
        """Return our weights."""
        from lm_modules.export.folding_modernbert import unfold_modernbert

        return unfold_modernbert(stock, model, network.scales)
