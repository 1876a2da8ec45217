"""The decoder with local layers as `MinistralForCausalLM`: a Llama some of whose layers read a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.export.architectures.llama import Llama

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from configs.model import ModelConfig


class Ministral(Llama):
    """Llama with local layers."""

    kind: Literal["ministral"] = "ministral"  # type: ignore[assignment]
    model_type: ClassVar[str | None] = "ministral"

    def stock(self, network: Any, model: ModelConfig, vocab_size: int, ids: dict[str, Any]) -> PreTrainedModel:
        """Return the folded decoder."""
        from transformers import MinistralConfig, MinistralForCausalLM

        from lm_modules.export.folding import fold, llama_settings, window_settings

        settings: dict[str, Any] = llama_settings(model, vocab_size) | window_settings(model)
        stock = MinistralForCausalLM(MinistralConfig(**settings, **ids))
        stock.load_state_dict(fold(network.state_dict(), model, network.scales), strict=True)
        return stock.eval()
