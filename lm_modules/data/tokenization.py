"""A corpus to a tokenizer, filed as a stock directory: trained on the train split alone, or taken over from a model;
tried on held-out text.
"""

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
from lm_modules.data.special_tokens import special_tokens
from lm_modules.data.tokenizers import END_OF_TEXT, MASK, PAD, SEPARATOR
from lm_modules.data.tokenizers.pretrained import Pretrained

if TYPE_CHECKING:
    import tokenizers

ROUND_TRIP_CHARACTERS = 1_000_000


def train_tokenizer(config: TokenizationConfig, corpus: Path, output: Path, base: Path | None = None) -> dict[str, Any]:
    """Write a stock fast tokenizer's directory and return its report (`report.json`, and the seconds it took).

    `base` is the model from which a tokenizer of the kind `pretrained` is taken. A corpus without text for training is
    a ValueError; so is a held-out document that a trained tokenizer does not give back byte for byte. Those that one
    which was taken over changes are counted.
    """
    started = time.perf_counter()
    sampled = {"documents": 0, "characters": 0}
    num_characters = _training_characters(corpus)
    taken = isinstance(config.tokenizer, Pretrained)
    if taken:
        if base is None:
            raise ValueError("a pretrained tokenizer is taken from a model; set tokenization.tokenizer.base")
        config.tokenizer.take(base, Path(output))
    else:
        trained = config.tokenizer.train(_sample(corpus, num_characters, config.training_characters, sampled))
        save_tokenizer(trained, output)
    tokenizer = corpus_tokenizer(output)
    training_seconds = time.perf_counter() - started
    held_out = _round_trip(tokenizer, corpus, count_changed=taken)
    special = dict(special_tokens(Path(output)))
    report = {
        "kind": config.tokenizer.kind,
        "vocabulary_size": tokenizer.get_vocab_size(),
        "special_tokens": {END_OF_TEXT: special.get(END_OF_TEXT), PAD: special.get(PAD)},
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


def _round_trip(tokenizer: tokenizers.Tokenizer, corpus: Path, *, count_changed: bool) -> dict[str, Any]:
    """Encode and decode held-out text, compare, and return the counts; a changed text is counted or a ValueError."""
    num_documents = num_characters = num_bytes = num_tokens = num_changed = 0
    for document in read_corpus(corpus, "validation"):
        ids = tokenizer.encode(document.text, add_special_tokens=False).ids
        if tokenizer.decode(ids, skip_special_tokens=False) != document.text:
            num_changed += 1
            if not count_changed:
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
    counts = {"documents": num_documents, "bytes": num_bytes, "tokens": num_tokens, "bytes_per_token": per_token}
    return counts | ({"changed_documents": num_changed} if count_changed else {})
