"""The corpus to a tokenizer, or the tokenizer of a model that is there already."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from configs.tokenization import AFTERWARDS, TokenizationConfig
from tasks.artifacts import Corpus, Model, Tokenizer
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated

logger = logging.getLogger(__name__)

ROUNDING = 64
"""A vocabulary is a multiple of this, so as many tokens may be left over in one of the right size."""


def train_tokenizer(config: TokenizationConfig, corpus: Corpus, base: Model | None, run_id: str) -> Tokenizer:
    """Train the tokenizer on the train split, or take that of `base`, and file it as a stock Hugging Face directory.

    It is found again whatever is done with it afterwards: some kinds would not be the same if they were trained again.
    """
    plain = {name: TokenizationConfig.model_fields[name].get_default() for name in AFTERWARDS}
    return learn_tokenizer(TokenizationConfig.model_validate({**config.model_dump(), **plain}), corpus, base, run_id)


@cached_task("lm_modules.data.tokenization")
def learn_tokenizer(config: TokenizationConfig, corpus: Corpus, base: Model | None, run_id: str) -> Tokenizer:
    """Do the work."""
    with own_work_directory() as directory:
        report = run_isolated(
            "lm_modules.data.tokenization:train_tokenizer",
            {
                "config": config,
                "corpus": corpus.local(),
                "output": directory / "tokenizer",
                "base": base and base.local(),
            },
            name="the training of the tokenizer",
            log=directory / "log.txt",
        )
        # one that is taken over is as it is
        report["warnings"] = [] if base else warnings(directory / "tokenizer", report["vocabulary_size"])
        for each in report["warnings"]:
            logger.warning(each)
        parents = [corpus] if base is None else [corpus, base]
        return Tokenizer.file(directory / "tokenizer", run_id=run_id, name="tokenizer", parents=parents, facts=report)


def warnings(tokenizer: Path, vocabulary_size: int) -> list[str]:
    """Return a sentence if the text gave far fewer tokens than were asked for: reserved ones stand in their places."""
    added: list[dict[str, Any]] = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    used = vocabulary_size - sum(each["content"].startswith("<|reserved_") for each in added)
    if vocabulary_size - used <= ROUNDING:
        return []
    return [
        f"the text gives {used:,} of {vocabulary_size:,} tokens; the rest is never used: set "
        f"tokenization.tokenizer.vocabulary_size to {-(-(used + 1) // ROUNDING) * ROUNDING}, or add text"
    ]
