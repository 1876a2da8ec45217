"""The decoder as `LlamaForCausalLM` (Touvron et al. 2023, arXiv 2302.13971)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.export.architectures import Architecture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from configs.model import ModelConfig


class Llama(Architecture):
    """Rotary positions, grouped-query attention, RMSNorm, gated SiLU."""

    kind: Literal["llama"] = "llama"
    task: ClassVar[str] = "text-generation"
    model_type: ClassVar[str | None] = "llama"
    auto_class: ClassVar[str] = "AutoModelForCausalLM"

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded decoder."""
        from transformers import LlamaConfig, LlamaForCausalLM

        from lm_modules.export.folding import fold, llama_settings

        stock = LlamaForCausalLM(LlamaConfig(**llama_settings(model, vocab_size), **ids))
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
        """Compare logits."""
        from lm_modules.export.parity import logit_difference

        return logit_difference(network, lambda tokens: stock(input_ids=tokens).logits, vocab_size, lengths)

    def same_tokens(self, network: nn.Module, stock: Any, vocab_size: int, num_tokens: int, tolerance: float) -> int:
        """Compare greedy writing with the stock model's cache."""
        from lm_modules.export.parity import random_text, same_greedy_tokens

        return same_greedy_tokens(network, stock, random_text(vocab_size, 1, 4)[0], num_tokens, tolerance)
