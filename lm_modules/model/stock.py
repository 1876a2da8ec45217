"""Opening stock Hugging Face models without noise on the screen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import processors
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

# the table of newly initialised weights (a new head is always in it), and a remark on tensor parallelism without any
CHATTY = ("transformers.modeling_utils", "transformers.distributed.tensor_parallel")


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Hide the progress bars of reading and writing weights, and the two warnings that always come with a new head."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels, bars = [each.level for each in loggers], transformers_logging.is_progress_bar_enabled()
    for each in loggers:
        each.setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
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
        model, found = auto_class.from_pretrained(
            str(base),
            dtype=torch.float32,
            use_safetensors=True,  # nothing is unpickled
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **settings,
        )
        body = model.base_model
        if body is not model and {f"{model.base_model_prefix}.{name}" for name, _ in body.named_parameters()} <= set(
            found["missing_keys"]
        ):
            # transformers' question answering for Llama and its like calls the body by another name than every other
            # model does, and would leave all of it to chance
            stored = AutoModel.from_pretrained(str(base), dtype=torch.float32, use_safetensors=True)
            body.load_state_dict(stored.state_dict())
        return model


def open_tokenizer(base: str | Path, context_length: int | None = None) -> PreTrainedTokenizerBase:
    """Return the tokenizer, which pads on the right and cuts at `context_length` tokens (null keeps its own limit).

    A tokenizer without a padding token (GPT-2) pads with its end-of-text token. A special token that is written in a
    text stays text. One of an encoder-decoder puts its end token behind every text, as T5's does, and goes on doing so
    when it is saved: a classifier answers from there, and `transformers` sees the same tokens.
    """
    tokenizer = AutoTokenizer.from_pretrained(str(base), split_special_tokens=True)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ValueError(
                f"the tokenizer of {base} has neither a padding token nor an end-of-text token; give it one of them "
                "(tokenizer.add_special_tokens) and save it with the model, resized if the token is new"
            )
        tokenizer.pad_token = tokenizer.eos_token
    if context_length is not None:
        tokenizer.model_max_length = context_length
    has_end = tokenizer.eos_token_id is not None
    if (
        has_end
        and architecture_of(base) == "encoder_decoder"
        and tokenizer.eos_token_id not in tokenizer("")["input_ids"]
    ):
        _end_every_text(tokenizer)
    return tokenizer


def _end_every_text(tokenizer: Any) -> None:
    end, backend = tokenizer.eos_token, tokenizer.backend_tokenizer
    behind = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A $B {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    before = [backend.post_processor] if backend.post_processor else []
    backend.post_processor = processors.Sequence([*before, behind])


def architecture_of(base: str | Path) -> Literal["decoder", "encoder", "encoder_decoder"]:
    """Return how a base reads and writes, by its configuration."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    config = AutoConfig.from_pretrained(str(base))
    if config.is_encoder_decoder:
        return "encoder_decoder"
    # encoders have a class that writes, too, for which they are told to be decoders
    writes = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    fills_in = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return "decoder" if writes and (not fills_in or getattr(config, "is_decoder", False)) else "encoder"


def labels_of(model: PreTrainedModel) -> list[str]:
    """Return the names of a classifier's labels, in the order of its outputs."""
    names = model.config.id2label or {}
    return [name for _, name in sorted(names.items())]
