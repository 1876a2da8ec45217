"""What both contestants of a fine-tuning begin with: a small model with random weights, and a labelled directory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_labelled(directory: Path, head: str, splits: Mapping[str, Iterable[Mapping[str, Any]]]) -> Path:
    """Write the labelled directory of examples as they are; return it."""
    from configs.component import members

    member: Any = members("lm_modules.heads")[head]()
    directory.mkdir(parents=True)
    labels: set[str] = set()
    for split, rows in splits.items():
        with (directory / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for number, row in enumerate(rows):
                fields = member.checked(row)
                labels.update(member.classes(fields))
                file.write(json.dumps({"id": f"{split}-{number}", **fields, "group": None}, ensure_ascii=False) + "\n")
    (directory / "labels.json").write_text(json.dumps(sorted(labels)))
    (directory / "head.json").write_text(member.model_dump_json())
    return directory


def save_encoder(directory: Path, texts: Iterable[str], *, vocab_size: int = 4000, width: int = 128) -> Path:
    """Save a BERT of two blocks with random weights (the same ones every time), and a WordPiece tokenizer of texts."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from lm_modules.model.stock import quiet_loading

    words = BertWordPieceTokenizer(lowercase=False)
    words.train_from_iterator(texts, vocab_size=vocab_size, min_frequency=2, show_progress=False)
    directory.mkdir(parents=True)
    words.save_model(str(directory))
    tokenizer = BertTokenizerFast(vocab=str(directory / "vocab.txt"), do_lower_case=False, model_max_length=128)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=2,
        num_attention_heads=width // 32,
        max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id,
    )
    with quiet_loading():
        BertModel(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
