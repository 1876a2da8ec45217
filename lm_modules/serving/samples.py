"""Texts that a new language model writes, for people to read: held-out documents begun by their author, ended by it."""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path
from typing import Any

NUM_SAMPLES = 5
PROMPT_TOKENS = 20
SHORTEST_DOCUMENT_CHARACTERS = 200
LENGTH_TOKENS = 96
MOST_DOCUMENTS = 20_000
"""Of which some are drawn; a large corpus is not read whole for five beginnings."""


def write(model: Path, corpus: Path, output: Path, seed: int) -> list[dict[str, Any]]:
    """Continue the beginnings of a few documents of the test split; file and return them (`samples.json`)."""
    from lm_modules.serving.generate import samples

    prompts = [_beginning(model, text) for text in _documents(corpus, seed)]
    texts = samples(model, prompts, max_new_tokens=LENGTH_TOKENS, seed=seed)
    output.mkdir(parents=True, exist_ok=True)
    (output / "samples.json").write_text(json.dumps(texts, indent=1, ensure_ascii=False))
    return texts


def _beginning(model: Path, text: str) -> str:
    """Return the first tokens of a text, at most half of what the model can read."""
    from transformers import AutoConfig, AutoTokenizer

    length = min(PROMPT_TOKENS, AutoConfig.from_pretrained(model).max_position_embeddings // 2)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokens = tokenizer(text, add_special_tokens=False, truncation=True, max_length=length)["input_ids"]
    return str(tokenizer.decode(tokens)).removesuffix("\N{REPLACEMENT CHARACTER}")


def _documents(corpus: Path, seed: int) -> list[str]:
    """Return documents drawn from the beginning of the test split, or of the train split when that is empty."""
    from lm_modules.data.corpus import read_corpus

    for split in ("test", "train"):
        texts = [document.text for document in islice(read_corpus(corpus, split), MOST_DOCUMENTS)]
        long = [text for text in texts if len(text) >= SHORTEST_DOCUMENT_CHARACTERS] or texts
        if long:
            return random.Random(seed).sample(long, min(NUM_SAMPLES, len(long)))
    return []
