"""Answer conversations with a stock causal language model and its chat template.

Copied into every registered model of this kind, which must open without Rootstock.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class ChatService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._tokenizer = AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
        network: Any = AutoModelForCausalLM.from_pretrained(str(directory), local_files_only=True)
        self._network = network.eval().to(self._device)

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[str]:
        """Return what the assistant says next in each conversation.

        `rows` is a list of conversations, or a table with the column `messages`; a conversation is a list of
        `{"role", "content"}`. `params` may hold `max_new_tokens`, `temperature` (0 takes the likeliest token), `top_p`
        and `seed`. What looks like a control token in a message is text.
        """
        conversations = rows["messages"] if hasattr(rows, "columns") else rows
        return [self._answer([dict(each) for each in messages], **(params or {})) for messages in conversations]

    def _answer(
        self,
        messages: list[dict[str, str]],
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 0.95,
        seed: int = 0,
    ) -> str:
        import torch

        asked: Any = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, sanitize_control_tokens=True
        )
        asked_BL = torch.tensor([asked["input_ids"]], device=self._device)
        limit = getattr(self._network.config, "max_position_embeddings", None)
        space = max_new_tokens if limit is None else min(max_new_tokens, limit - asked_BL.shape[1])
        if space < 1:
            raise ValueError(
                f"the conversation has {asked_BL.shape[1]} tokens, the model reads at most {limit}; shorten it"
            )
        sampling: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if temperature > 0:
            sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed)
            written_BL = self._network.generate(
                asked_BL, attention_mask=torch.ones_like(asked_BL), max_new_tokens=space, **sampling
            )
        return str(self._tokenizer.decode(written_BL[0, asked_BL.shape[1] :], skip_special_tokens=True)).strip()
