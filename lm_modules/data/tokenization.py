"""A corpus to a tokenizer, filed as a stock directory: trained on the train split alone, or taken over from a model;
tried on held-out text.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.tokenization import AFTERWARDS, TokenizationConfig
from lm_modules.data.corpus import read_corpus
from lm_modules.data.documents import Document
from lm_modules.data.encoding import corpus_tokenizer
from lm_modules.data.input_files import file_digest
from lm_modules.data.special_tokens import special_tokens
from lm_modules.data.split import position
from lm_modules.data.tokenizer_table import TokenizerTable
from lm_modules.data.tokenizers import END_OF_TEXT, MASK, PAD, SEPARATOR
from lm_modules.data.tokenizers.pretrained import Pretrained

if TYPE_CHECKING:
    import tokenizers

ROUND_TRIP_CHARACTERS = 1_000_000
MOST_PIECE_CHARACTERS, LEAST_PIECES = 5_000, 100


def train_tokenizer(config: TokenizationConfig, corpus: Path, output: Path, base: Path | None = None) -> dict[str, Any]:
    """Write a stock fast tokenizer's directory and return its report (`report.json`, and the seconds it took).

    `base` is the model from which a tokenizer of the kind `pretrained` is taken. A corpus without text for training is
    a ValueError; so is a held-out document that a trained tokenizer does not give back byte for byte. Those that one
    which was taken over changes are counted.
    """
    started = time.perf_counter()
    sampled = {"documents": 0, "characters": 0}
    _num_characters(corpus, "train")
    taken = isinstance(config.tokenizer, Pretrained)
    if taken:
        if base is None:
            raise ValueError("a pretrained tokenizer is taken from a model; set tokenization.tokenizer.base")
        config.tokenizer.take(base, Path(output))
    else:
        sample = _sample(corpus, "train", config.training_characters, sampled)
        trained = config.tokenizer.train(document.text for document in sample)
        save_tokenizer(trained, output)
    tokenizer = corpus_tokenizer(output)
    training_seconds = time.perf_counter() - started
    held_out, table = _held_out(tokenizer, corpus, config.reference, count_changed=taken)
    special = dict(special_tokens(Path(output)))
    report = {
        "kind": config.tokenizer.kind,
        "vocabulary_size": tokenizer.get_vocab_size(),
        "special_tokens": {END_OF_TEXT: special.get(END_OF_TEXT), PAD: special.get(PAD)},
        "trained_on": sampled,
        "held_out": held_out,
        "table": table,
        "bytes_per_token": held_out["bytes_per_token"],
        "tokenizer_digest": file_digest(Path(output) / "tokenizer.json"),
        "versions": {"tokenizers": version("tokenizers"), "transformers": version("transformers")},
        "config": config.model_dump(mode="json", exclude=set(AFTERWARDS)),
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


def _num_characters(corpus: Path, split: str) -> int:
    """Return the characters of a split; a train split without any is a ValueError."""
    sizes = json.loads((Path(corpus) / "report.json").read_text())["splits"]
    num_characters = sizes.get(split, {}).get("characters", 0)
    if split == "train" and not num_characters:
        raise ValueError(
            f"the corpus in {corpus} has no text to train a tokenizer on; add documents to its train split"
        )
    return num_characters


def _sample(corpus: Path, split: str, most_characters: int, sampled: dict[str, int]) -> Iterator[Document]:
    """Yield pieces spread over a split, at most so many characters, and count them and their documents in `sampled`.

    Where the split is no longer than that, its documents are taken whole. Otherwise a hash chooses among pieces of
    MOST_PIECE_CHARACTERS or less, so that long documents are heard as much as short ones.
    """
    share = most_characters / max(_num_characters(corpus, split), 1)
    size = max(1, min(MOST_PIECE_CHARACTERS, most_characters // LEAST_PIECES))
    for document in read_corpus(corpus, split):
        name, text = f"{document.source}\0{document.id}", document.text
        pieces = [
            text[start : start + size] for start in range(0, len(text), size) if position(f"{name}\0{start}", 0) < share
        ]
        before = sampled["characters"]
        for piece in [text] if share >= 1 else pieces:
            if chosen := piece[: most_characters - sampled["characters"]]:
                sampled["characters"] += len(chosen)
                yield replace(document, text=chosen)
        sampled["documents"] += sampled["characters"] > before


def _held_out(
    tokenizer: tokenizers.Tokenizer, corpus: Path, reference: str | None, *, count_changed: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return counts of held-out text and the table beside the reference; a changed text is counted or a ValueError."""
    table = TokenizerTable(tokenizer, reference)
    table.add(_sample(corpus, "validation", ROUND_TRIP_CHARACTERS, {"documents": 0, "characters": 0}))
    if table.changed and not count_changed:
        raise ValueError(
            f"document {table.changed[0]!r} is not the same after encoding and decoding; choose another kind"
        )
    changed = {"changed_documents": len(table.changed)} if count_changed else {}
    return table.totals() | changed, table.as_dict()
