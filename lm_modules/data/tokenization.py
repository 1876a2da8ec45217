"""A corpus to a tokenizer: trained on the train split alone, tried on held-out text, filed as a stock directory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.tokenization import TokenizationConfig
from lm_modules.data.corpus import read_corpus
from lm_modules.data.input_files import file_digest
from lm_modules.data.tokenizers import END_OF_TEXT, PAD

if TYPE_CHECKING:
    import tokenizers

ROUND_TRIP_CHARACTERS = 1_000_000


def train_tokenizer(config: TokenizationConfig, corpus: Path, output: Path) -> dict[str, Any]:
    """Write a stock `PreTrainedTokenizerFast` directory and return its report (`report.json`).

    A held-out document that does not come back byte for byte is a ValueError.
    """
    started = time.perf_counter()
    sampled = {"documents": 0, "characters": 0}
    tokenizer = config.tokenizer.train(_sample(corpus, config.training_characters, sampled))
    save_tokenizer(tokenizer, output)
    training_seconds = time.perf_counter() - started
    held_out = _round_trip(corpus_tokenizer(output), corpus)
    report = {
        "kind": config.tokenizer.kind,
        "vocabulary_size": tokenizer.get_vocab_size(),
        "special_tokens": {END_OF_TEXT: tokenizer.token_to_id(END_OF_TEXT), PAD: tokenizer.token_to_id(PAD)},
        "trained_on": sampled,
        "held_out": held_out,
        "bytes_per_token": held_out["bytes_per_token"],
        "tokenizer_digest": file_digest(Path(output) / "tokenizer.json"),
        "training_seconds": round(training_seconds, 2),
        "seconds": round(time.perf_counter() - started, 2),
        "versions": {"tokenizers": version("tokenizers"), "transformers": version("transformers")},
        "config": config.model_dump(mode="json"),
    }
    (Path(output) / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def save_tokenizer(tokenizer: tokenizers.Tokenizer, output: Path) -> None:
    """Write a directory that `AutoTokenizer.from_pretrained` opens; decoding does not touch spaces."""
    from transformers import PreTrainedTokenizerFast

    stock = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
    )
    stock.save_pretrained(str(output))


def corpus_tokenizer(directory: Path) -> tokenizers.Tokenizer:
    """Return the tokenizer of a directory, set so that "<|endoftext|>" written in a document is text like any other."""
    from tokenizers import Tokenizer

    path = Path(directory) / "tokenizer.json"
    if not path.exists():
        raise ValueError(f"{directory} has no tokenizer.json; train a tokenizer first, or name a fast one")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _sample(corpus: Path, most_characters: int, sampled: dict[str, int]) -> Iterator[str]:
    """Yield train documents spread evenly over the corpus, at most so many characters, and count them in `sampled`."""
    report = json.loads((Path(corpus) / "report.json").read_text())
    share = min(1.0, most_characters / max(report["splits"]["train"]["characters"], 1))
    passed = 0
    for document in read_corpus(corpus, "train"):
        passed += len(document.text)
        if sampled["characters"] + len(document.text) <= share * passed:
            sampled["documents"] += 1
            sampled["characters"] += len(document.text)
            yield document.text


def _round_trip(tokenizer: tokenizers.Tokenizer, corpus: Path) -> dict[str, Any]:
    """Encode and decode held-out text, compare, and return the counts."""
    num_documents = num_characters = num_bytes = num_tokens = 0
    for document in read_corpus(corpus, "validation"):
        ids = tokenizer.encode(document.text, add_special_tokens=False).ids
        if tokenizer.decode(ids, skip_special_tokens=False) != document.text:
            raise ValueError(
                f"document {document.id!r} is not the same after encoding and decoding; choose another kind"
            )
        num_documents += 1
        num_characters += len(document.text)
        num_bytes += len(document.text.encode())
        num_tokens += len(ids)
        if num_characters >= ROUND_TRIP_CHARACTERS:
            break
    per_token = round(num_bytes / num_tokens, 4) if num_tokens else None
    return {"documents": num_documents, "bytes": num_bytes, "tokens": num_tokens, "bytes_per_token": per_token}
