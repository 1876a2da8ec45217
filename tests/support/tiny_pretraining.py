"""A tokenizer, packed tokens of a periodic text, and settings for a training run of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from configs.pretraining import PretrainingConfig
from lm_modules.data.packed import write_packed
from lm_modules.data.tokenizers import MASK, PAD, SPECIAL, sentinel

SENTENCE = "the quick brown fox jumps over the lazy dog; "


def make_tokens(directory: Path, text: str = SENTENCE) -> tuple[Path, Path]:
    """Write a byte-level tokenizer and its tokens; returns (tokens, tokenizer)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*SPECIAL, *(sentinel(number) for number in range(8))]
    vocabulary = {each: index for index, each in enumerate([*names, *letters])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": PAD, "mask_token": MASK}
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **special)
    tokenizer.save_pretrained(directory / "tokenizer")
    for split, repeats in (("train", 120), ("validation", 12), ("test", 12)):
        documents = [text * 3] * (repeats // 3)
        write_packed(
            directory / "tokens",
            split,
            (
                (tokenizer.encode(each, add_special_tokens=False), len(each.encode()), ("web", "books")[number % 2])
                for number, each in enumerate(documents)
            ),
            vocab_size=len(tokenizer),
            end_of_text_id=0,
        )
    return directory / "tokens", directory / "tokenizer"


def tiny_config(**changes: Any) -> PretrainingConfig:
    """Return settings of a two-layer model; a change is `section__field=value`."""
    settings: dict[str, Any] = {
        "model": {"width": 32, "depth": 2, "head_width": 16, "context_length": 32},
        "optimization": {"batch_tokens": 256, "budget_steps": 24, "weight_decay": 1e-3},
        "compute": {"precision": "float32", "accelerator": "cpu", "threads": 1, "checkpoint_every_steps": 6},
        "validation_every_steps": 12,
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = settings
        for parent in parents:
            place = place[parent]
        place[last] = value
    return PretrainingConfig.model_validate(settings)
