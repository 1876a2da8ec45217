"""The decoder with normed queries and keys as `Qwen3ForCausalLM` (Yang et al. 2025, arXiv 2505.09388)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.export.architectures.llama import Llama

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from configs.model import ModelConfig


class Qwen3(Llama):
    """Llama with a norm on queries and keys, and local layers if wanted."""

    kind: Literal["qwen3"] = "qwen3"  # type: ignore[assignment]
    model_type: ClassVar[str | None] = "qwen3"

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded decoder."""
        from transformers import Qwen3Config, Qwen3ForCausalLM

        from lm_modules.export.folding import fold, llama_settings, window_settings

        settings: dict[str, Any] = llama_settings(model, vocab_size) | window_settings(model)
        stock = Qwen3ForCausalLM(Qwen3Config(**settings, use_sliding_window=model.sliding_window is not None, **ids))
        stock.load_state_dict(fold(network.state_dict(), model, network.scales), strict=True)
        return stock.eval()
