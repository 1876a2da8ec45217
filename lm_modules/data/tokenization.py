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
from lm_modules.data.tokenizers import END_OF_TEXT, MASK, PAD, SEPARATOR

if TYPE_CHECKING:
    import tokenizers

ROUND_TRIP_CHARACTERS = 1_000_000


def train_tokenizer(config: TokenizationConfig, corpus: Path, output: Path) -> dict[str, Any]:
    """Write a stock `PreTrainedTokenizerFast` directory and return its report (`report.json`, and the seconds it took).

    A corpus without text for training, or a held-out document that does not come back byte for byte, is a ValueError.
    """
    started = time.perf_counter()
    sampled = {"documents": 0, "characters": 0}
    num_characters = _training_characters(corpus)
    tokenizer = config.tokenizer.train(_sample(corpus, num_characters, config.training_characters, sampled))
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
        "versions": {"tokenizers": version("tokenizers"), "transformers": version("transformers")},
        "config": config.model_dump(mode="json"),
    }
    (Path(output) / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    # Not in the file, so that equal tokenizers have equal digests.
    seconds = round(time.perf_counter() - started, 2)
    return report | {"training_seconds": round(training_seconds, 2), "seconds": seconds}


def save_tokenizer(tokenizer: tokenizers.Tokenizer, output: Path) -> None:
    """Write a directory that `AutoTokenizer.from_pretrained` opens; decoding does not touch spaces."""
    from transformers import PreTrainedTokenizerFast

    stock = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=PAD,
        mask_token=MASK,
        sep_token=SEPARATOR,
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


def _training_characters(corpus: Path) -> int:
    """Return the characters of the train split; none is a ValueError."""
    num_characters = json.loads((Path(corpus) / "report.json").read_text())["splits"]["train"]["characters"]
    if not num_characters:
        raise ValueError(
            f"the corpus in {corpus} has no text to train a tokenizer on; add documents to its train split"
        )
    return num_characters


def _sample(corpus: Path, num_characters: int, most_characters: int, sampled: dict[str, int]) -> Iterator[str]:
    """Yield train documents spread evenly over the corpus, at most so many characters, and count them in `sampled`.

    A document is taken whole if it fits; of one that is longer than the whole sample, as much as fits.
    """
    passed = 0
    for document in read_corpus(corpus, "train"):
        passed += len(document.text)
        allowed = most_characters * passed // num_characters - sampled["characters"]
        text = document.text[:allowed] if len(document.text) > most_characters else document.text
        if text and len(text) <= allowed:
            sampled["documents"] += 1
            sampled["characters"] += len(text)
            yield text


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
