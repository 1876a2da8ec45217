"""Bits per byte: how short a language model could write a text, independent of its tokenizer.

    bits per byte = sum of -log2 p(token | context) over all tokens / UTF-8 bytes of the text

Every document is scored on its own. Its tokens are those of `tokenizer(text, add_special_tokens=False)`, and the
end-of-text token before them is context: the first token is predicted from it, it is not scored itself, and no end of
the document is scored. A window holds `context_length` tokens, two neighbours share
`overlap = max(1, floor(context_length x overlap_fraction))` of them, and a window scores the tokens that none before it
has scored: window 0 all but its first, every later one those after its first `overlap`. The windows end with the first
that reaches the end of the document.
"""

from __future__ import annotations

import lzma
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

BATCH_TOKENS = 4096
"""Size of a batch of windows, padding included."""


def bits_per_byte(
    directory: str | Path, texts: Sequence[str], *, overlap_fraction: float = 0.5, context_length: int | None = None
) -> dict[str, float]:
    """Score a stock causal language model; return bits_per_byte, num_bytes, num_documents and num_tokens.

    `context_length` is the model's own, or at most 1024, when None. The arithmetic is float32, the sum float64.
    """
    from transformers import AutoModelForCausalLM

    from lm_modules.model.stock import open_model, open_tokenizer

    tokenizer, model = open_tokenizer(directory), open_model(AutoModelForCausalLM, directory)
    length = context_length or min(getattr(model.config, "max_position_embeddings", 1024), 1024)
    texts = [text for text in texts if text]
    num_bytes = sum(len(text.encode()) for text in texts)
    if not num_bytes:
        raise ValueError("there is no text to score; hold out more documents")
    # the tokenizer's own limit is meant for whole inputs; windows make it meaningless here
    tokenizer.model_max_length = int(1e30)
    encoded = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    documents = [[start, *each] for each in encoded]
    nats = _negative_log_likelihood(model, documents, length, max(1, int(length * overlap_fraction)))
    return {
        "bits_per_byte": nats / math.log(2) / num_bytes,
        "num_bytes": num_bytes,
        "num_documents": len(texts),
        "num_tokens": sum(len(each) for each in encoded),
    }


def windows(num_tokens: int, length: int, overlap: int) -> Iterator[tuple[int, int, int]]:
    """Yield (begin, end, first scored token) of every window over a document with its end-of-text token before it."""
    scored, begin = 1, 0
    while scored < num_tokens:
        end = min(begin + length, num_tokens)
        yield begin, end, scored
        scored, begin = end, begin + length - overlap


def _negative_log_likelihood(model: Any, documents: Sequence[Sequence[int]], length: int, overlap: int) -> float:
    """Return the sum over all scored tokens, in nats."""
    pieces = [
        (list(tokens[begin:end]), first - begin)
        for tokens in documents
        for begin, end, first in windows(len(tokens), length, overlap)
    ]
    pieces.sort(key=lambda piece: -len(piece[0]))
    total, at = 0.0, 0
    while at < len(pieces):
        rows = max(1, BATCH_TOKENS // len(pieces[at][0]))
        total += _nats(model, pieces[at : at + rows])
        at += rows
    return total


@torch.inference_mode()
def _nats(model: Any, pieces: Sequence[tuple[list[int], int]]) -> float:
    """Return the sum over one batch; `pieces` are (tokens, place of the first scored one)."""
    longest = max(len(tokens) for tokens, _ in pieces)
    # a causal model never sees the padding on the right, so any token serves and no mask is needed
    tokens_BL = torch.zeros(len(pieces), longest, dtype=torch.long)
    targets_BL = torch.full((len(pieces), longest), -100)
    for row, (tokens, first) in enumerate(pieces):
        tokens_BL[row, : len(tokens)] = torch.tensor(tokens)
        targets_BL[row, first : len(tokens)] = tokens_BL[row, first : len(tokens)]
    logits_BLV = model(input_ids=tokens_BL, use_cache=False).logits[:, :-1].float()
    losses = cross_entropy(logits_BLV.flatten(0, 1), targets_BL[:, 1:].flatten(), reduction="none", ignore_index=-100)
    return losses.double().sum().item()


def xz_bits_per_byte(texts: Sequence[str]) -> float:
    """Return what `xz -9` makes of the same texts, one after another in one file."""
    content = "".join(texts).encode()
    return 8 * len(lzma.compress(content, preset=9)) / len(content)
