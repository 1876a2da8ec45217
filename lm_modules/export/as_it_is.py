"""A stock model that was trained as it is: nothing is folded, but it is saved, reopened and compared like others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TASKS = {
    "AutoModelForCausalLM": "text-generation",
    "AutoModelForMaskedLM": "fill-mask",
    "AutoModelForSeq2SeqLM": "text2text-generation",
}


@dataclass(frozen=True)
class AsItIs:
    """Stands where an architecture of our own networks would."""

    auto_class: str
    """The class of `transformers` that opens the directory."""

    @property
    def task(self) -> str:
        """What the model does, as the pipelines of `transformers` name it."""
        return TASKS[self.auto_class]

    def stock(self, network: Any, model: Any, vocab_size: int, ids: dict[str, Any]) -> Any:
        """Return the model that was trained."""
        return network.stock

    def beside(self, network: Any, model: Any, vocab_size: int, ids: dict[str, Any]) -> dict[str, Any]:
        """Return nothing: there is one model."""
        return {}

    def difference(self, network: Any, stock: Any, vocab_size: int, lengths: list[int]) -> float:
        """Return the largest absolute difference of logits on random texts of these lengths."""
        from lm_modules.export.parity import answer_difference, logit_difference

        if stock.config.is_encoder_decoder:
            return answer_difference(network, stock, vocab_size, lengths)
        return logit_difference(network, lambda tokens: stock(input_ids=tokens).logits, vocab_size, lengths)

    def same_tokens(self, network: Any, stock: Any, vocab_size: int, num_tokens: int, tolerance: float) -> int | None:
        """Return how many of so many greedily written tokens agree; None for an encoder, which writes none."""
        from lm_modules.export.parity import random_text, same_greedy_tokens, same_written_tokens

        if stock.config.is_encoder_decoder:
            source_BS = random_text(vocab_size, 1, num_tokens)
            return same_written_tokens(network, stock, source_BS, num_tokens, tolerance)
        if self.task == "fill-mask":
            return None
        return same_greedy_tokens(network, stock, random_text(vocab_size, 1, 4)[0], num_tokens, tolerance)
