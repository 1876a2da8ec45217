"""Answer prompts with a stock causal language model; what a registered language model does when it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Relative, because these files are copied into every registered model, which must open without Rootstock.
from . import generate


class LanguageModelService:
    """Holds the model in `directory` in memory. Needs `transformers` and `torch` only."""

    def __init__(self, directory: str | Path):
        self._network, self._tokenizer = generate.load(Path(directory))

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> list[str]:
        """Return the continuation of each prompt.

        `rows` is a list of strings or a table with the column `prompt` (or one column). `params` may hold
        `max_new_tokens`, `temperature` (0 takes the likeliest token), `top_p` and `seed`.
        """
        prompts = rows["prompt" if "prompt" in rows else rows.columns[0]] if hasattr(rows, "columns") else rows
        return [
            generate.continue_text(self._network, self._tokenizer, str(prompt), **(params or {})) for prompt in prompts
        ]
