"""Tiny random stock language models with their own tokenizers, and a text cut by these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from lm_modules.data.input_files import file_digest
from lm_modules.data.packed import write_packed
from lm_modules.data.special_tokens import end_of_text_id
from lm_modules.data.tokenization import corpus_tokenizer
from lm_modules.model.stock import quiet_loading

SENTENCE = "the quick brown fox jumps over the lazy dog; "
SPECIAL: dict[str, dict[str, str]] = {
    "gpt2": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
    "bert": {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"},
    "bart": {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "mask_token": "<mask>"},
    "t5": {"pad_token": "<pad>", "eos_token": "</s>"},
}
SENTINELS = tuple(f"<extra_id_{number}>" for number in range(8))


def save_base(kind: str, directory: Path, **settings: Any) -> Path:
    """Save a random two-layer model of a kind: gpt2, bert, bart or t5 (v1.0, which our network cannot become)."""
    torch.manual_seed(0)
    tokenizer = _tokenizer(kind)
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in SPECIAL[kind].items()}
    ids.pop("mask_token_id", None)
    fields: dict[str, Any] = {"vocab_size": 320, **ids, **settings}
    model: Any
    if kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=32, **fields))
    elif kind == "bert":
        model = BertForMaskedLM(BertConfig(**_encoder(), max_position_embeddings=32, **fields))
    elif kind == "bart":
        model = BartForConditionalGeneration(
            BartConfig(
                d_model=32,
                encoder_layers=2,
                decoder_layers=2,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                encoder_ffn_dim=64,
                decoder_ffn_dim=64,
                max_position_embeddings=40,
                decoder_start_token_id=ids["eos_token_id"],
                forced_eos_token_id=None,
                **fields,
            )
        )
    else:
        start = ids["pad_token_id"]
        shape = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
        model = T5ForConditionalGeneration(T5Config(**shape, decoder_start_token_id=start, **fields))
    with quiet_loading():
        model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def make_tokens_for(base: Path, directory: Path, text: str = SENTENCE * 3) -> Path:
    """Cut a periodic text with the tokenizer of a model; returns the tokens."""
    tokenizer = corpus_tokenizer(base)
    for split, documents in (("train", 40), ("validation", 4), ("test", 4)):
        write_packed(
            directory,
            split,
            [(tokenizer.encode(text, add_special_tokens=False).ids, len(text.encode()))] * documents,
            vocab_size=1 + max(tokenizer.get_vocab().values()),
            end_of_text_id=end_of_text_id(base),
            tokenizer_digest=file_digest(base / "tokenizer.json"),
        )
    return directory


def _encoder() -> dict[str, int]:
    return {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def _tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """A token for every byte; BERT's lowers the case, as its own does."""
    from tokenizers import normalizers

    names = list(dict.fromkeys(SPECIAL[kind].values()))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    # T5 counts its sentinels down from the end of the vocabulary
    behind = list(reversed(SENTINELS)) if kind == "t5" else []
    vocabulary = {each: index for index, each in enumerate([*names, *letters, *behind])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    if kind == "bert":
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in [*names, *behind]])
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL[kind])
