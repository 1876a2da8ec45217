"""Opening stock Hugging Face models without noise on the screen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Hide the progress bar of the weights and the table of newly initialised ones (a new head is always in it)."""
    report = logging.getLogger("transformers.modeling_utils")
    level, bars = report.level, transformers_logging.is_progress_bar_enabled()
    report.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        report.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()


def open_model(
    auto_class: Any, base: str | Path, *, from_random_weights: bool = False, **settings: Any
) -> PreTrainedModel:
    """Return the model in float32, in evaluation mode.

    `auto_class` is one of `transformers.AutoModelFor...`; `settings` replace fields of its configuration.
    Weights that the directory lacks are drawn from torch's global generator, and all are with `from_random_weights`.
    """
    with quiet_loading():
        if from_random_weights:
            config = AutoConfig.from_pretrained(str(base), **settings)
            return auto_class.from_config(config, dtype=torch.float32).eval()
        # a base that was itself fine-tuned may have a head for other labels; it is drawn anew
        return auto_class.from_pretrained(str(base), dtype=torch.float32, ignore_mismatched_sizes=True, **settings)


def open_tokenizer(base: str | Path, context_length: int | None = None) -> PreTrainedTokenizerBase:
    """Return the tokenizer, which pads on the right and cuts at `context_length` tokens (null keeps its own limit).

    A tokenizer without a padding token (GPT-2) pads with its end-of-text token.
    """
    tokenizer = AutoTokenizer.from_pretrained(str(base))
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if context_length is not None:
        tokenizer.model_max_length = context_length
    return tokenizer
