"""Tiny random stock models, and labelled texts that they can learn from."""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from lm_modules.model.stock import quiet_loading

WORDS = {
    "animals": ("cat", "dog", "horse", "mouse"),
    "numbers": ("one", "two", "three", "four"),
    "colours": ("red", "green", "blue", "grey"),
}
FILLERS = ("the", "a", "and", "of", "with", "near")


def save_llama(directory: Path, *, max_position_embeddings: int = 64) -> Path:
    """Save a random two-block Llama with a byte-level tokenizer."""
    torch.manual_seed(0)
    tokenizer = _byte_tokenizer("<|endoftext|>", "<|pad|>")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>", pad_token="<|pad|>"
    )
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=max_position_embeddings,
            bos_token_id=fast.bos_token_id,
            eos_token_id=fast.eos_token_id,
            pad_token_id=fast.pad_token_id,
        )
    )
    return _save(model, fast, directory)


def save_gemma(directory: Path) -> Path:
    """Save a random two-block Gemma, which `transformers` has no class for questions of."""
    torch.manual_seed(0)
    tokenizer = _byte_tokenizer("<pad>", "<eos>")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")
    model = GemmaForCausalLM(
        GemmaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=64,
            eos_token_id=fast.eos_token_id,
            pad_token_id=fast.pad_token_id,
        )
    )
    return _save(model, fast, directory)


def save_bert(directory: Path, *, tells_texts: bool = False) -> Path:
    """Save a random two-block BERT encoder with a byte-level tokenizer that adds [CLS] and [SEP].

    With `tells_texts` it says of two texts which tokens are of which, as BERT's own does.
    """
    torch.manual_seed(0)
    tokenizer = _byte_tokenizer("[CLS]", "[SEP]", "[PAD]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1" if tells_texts else None,
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if tells_texts else [])]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        model_input_names=names,
    )
    model = BertModel(
        BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=64,
            pad_token_id=fast.pad_token_id,
        )
    )
    return _save(model, fast, directory)


def save_t5(directory: Path) -> Path:
    """Save a random encoder-decoder of two blocks each, with a byte-level tokenizer that adds nothing, as ours do."""
    torch.manual_seed(0)
    tokenizer = _byte_tokenizer("<pad>", "</s>")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>")
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=tokenizer.get_vocab_size(),
            d_model=32,
            d_kv=16,
            d_ff=64,
            num_layers=2,
            num_heads=2,
            feed_forward_proj="gated-silu",
            dropout_rate=0.0,
            decoder_start_token_id=fast.pad_token_id,
            pad_token_id=fast.pad_token_id,
            eos_token_id=fast.eos_token_id,
        )
    )
    return _save(model, fast, directory)


def save_labelled(directory: Path, *, num_train: int = 96, num_held_out: int = 30, seed: int = 0) -> Path:
    """Save texts whose label is told by one word in them."""
    generator = random.Random(seed)
    directory.mkdir(parents=True)
    for split, number in (("train", num_train), ("validation", num_held_out), ("test", num_held_out)):
        rows = []
        for index in range(number):
            label = list(WORDS)[index % len(WORDS)]
            words = generator.choices(FILLERS, k=generator.randint(0, 6))
            words.insert(generator.randint(0, len(words)), generator.choice(WORDS[label]))
            rows.append({"id": f"{split}-{index}", "text": " ".join(words), "label": label, "group": None})
        (directory / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (directory / "labels.json").write_text(json.dumps(sorted(WORDS)))
    (directory / "head.json").write_text('{"kind": "sequence_classification"}')
    return directory


def _byte_tokenizer(*special_tokens: str) -> Tokenizer:
    vocabulary = {name: index for index, name in enumerate(special_tokens)}
    for character in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[character] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special_tokens))
    return tokenizer


def _save(model, tokenizer: PreTrainedTokenizerFast, directory: Path) -> Path:
    with quiet_loading():
        model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
