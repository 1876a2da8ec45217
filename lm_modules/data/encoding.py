"""Texts to tokens, many at once, while the caller writes those of the batch before.

    byte-level BPE    tiktoken, built from the tokenizer's own merges: five times as fast on one core
    all others        the tokenizer itself, on all cores

Both cut alike, which is proved and then tried. tiktoken joins any two neighbours that spell a token, the tokenizer only
the two that the token was made of. The neighbours of a tokenization, cut again on their own, stay what they are
(Berglund & van der Merwe 2023, arXiv 2309.08715); so if every token, cut on its own, is itself, any two that spell it
while it can still be joined are the two that it was made of. `_closed` looks at every token; a file of which it does
not hold is encoded by the tokenizer.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lm_modules.data.byte_level import BYTE_OF, PATTERNS, cut_by
from lm_modules.data.special_tokens import end_of_text_id

if TYPE_CHECKING:
    import tiktoken
    import tokenizers

logger = logging.getLogger(__name__)

CHARACTERS_ENCODED_AT_ONCE = 1_000_000
CHARACTERS_COMPARED = 100_000
"""So much of the first batch is cut by both, in case a new version of either cuts in another way."""
LONG_TEXT = 2_000_000
"""Characters beyond which a document is encoded in pieces: the tokenizer takes a hundred bytes for a token."""
CUT = re.compile("(?<=[A-Za-z])(?= [A-Za-z])")
"""Before the space of such a word every tokenizer cuts that takes a text apart at words or finer."""
LONG_BLANK = re.compile(r"(?<!\s)\s{100000}")
"""tiktoken's regular expressions run out of stack on white space of some 500,000 characters."""


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


class Encoder:
    """The tokenizer of a directory, for texts by the million."""

    def __init__(self, directory: Path, threads: int | None = None) -> None:
        self.tokenizer = corpus_tokenizer(directory)
        self.vocab_size = 1 + max(self.tokenizer.get_vocab().values())
        self.end_of_text_id = end_of_text_id(Path(directory))
        self.dtype = np.dtype("<u2" if self.vocab_size <= 65536 else "<u4")
        self.threads = threads or _num_cores()
        content = json.loads((Path(directory) / "tokenizer.json").read_text(encoding="utf-8"))
        self._fast = _fast(content, self.tokenizer)
        self._cuts_words = _cuts_words(content)
        self._compared = self._fast is None

    def encoded(self, batches: Iterable[list[Any]]) -> Iterator[tuple[list[Any], list[np.ndarray]]]:
        """Yield each batch of things that have a `text`, and their tokens; the next is encoded meanwhile."""
        waiting: tuple[list[Any], Future] | None = None
        with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(self.threads) as pool:
            for batch in batches:
                coming = ahead.submit(self.encode, [each.text for each in batch], pool)
                if waiting is not None:
                    yield waiting[0], waiting[1].result()
                waiting = batch, coming
            if waiting is not None:
                yield waiting[0], waiting[1].result()

    def encode(self, texts: list[str], pool: ThreadPoolExecutor | None = None) -> list[np.ndarray]:
        """Return the tokens of each text, unsigned integers; a special token that is written in it stays text."""
        if self._cuts_words and any(len(text) > LONG_TEXT for text in texts):
            return [self._in_pieces(text, pool) if len(text) > LONG_TEXT else self.encode([text])[0] for text in texts]
        if self._fast is None:
            return self._encode_plainly(texts)
        if not self._compared:
            self._compare(texts)
            return self.encode(texts, pool)
        if pool is None:
            return self._encode_fast(texts)
        pieces = [texts[number :: self.threads] for number in range(self.threads)]
        found: list[Any] = [None] * len(texts)
        for number, tokens in enumerate(pool.map(self._encode_fast, pieces)):
            found[number :: self.threads] = tokens
        return found

    def _in_pieces(self, text: str, pool: ThreadPoolExecutor | None) -> np.ndarray:
        found, start = [], 0
        while start < len(text):
            place = CUT.search(text, start + CHARACTERS_ENCODED_AT_ONCE)
            end = place.start() if place else len(text)
            piece = text[start:end]
            # one without such a place, as the last may be, is taken as it is
            found += self.encode([piece], pool) if len(piece) <= LONG_TEXT else self._encoded_whole(piece)
            start = end
        return np.concatenate(found)

    def _encoded_whole(self, text: str) -> list[np.ndarray]:
        return self._encode_plainly([text]) if self._fast is None else self._encode_fast([text])

    def _encode_plainly(self, texts: list[str]) -> list[np.ndarray]:
        encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [_tokens(encoding.ids, self.dtype) for encoding in encodings]

    def _encode_fast(self, texts: list[str]) -> list[np.ndarray]:
        assert self._fast is not None
        found = []
        for text in texts:
            if len(text) >= CHARACTERS_COMPARED and LONG_BLANK.search(text):
                found += self._encode_plainly([text])
            else:
                tokens = self._fast.encode_to_numpy(text, disallowed_special=())
                found.append(tokens.astype(self.dtype, copy=False))
        return found

    def _compare(self, texts: list[str]) -> None:
        """Cut some texts by both; where they differ, tiktoken is not used again."""
        some, num_characters = [], 0
        for text in texts:
            if num_characters < CHARACTERS_COMPARED:
                some.append(text[:CHARACTERS_COMPARED])
                num_characters += len(text)
        pairs = zip(self._encode_fast(some), self._encode_plainly(some), strict=True)
        if not all(np.array_equal(one, other) for one, other in pairs):
            logger.warning("tiktoken cuts a text in another way than the tokenizer; the tokenizer is used alone")
            self._fast = None
        self._compared = True


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def batched(documents: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the documents in lists that are worth the call."""
    batch: list[Any] = []
    num_characters = 0
    for document in documents:
        batch.append(document)
        num_characters += len(document.text)
        if num_characters >= CHARACTERS_ENCODED_AT_ONCE:
            yield batch
            batch, num_characters = [], 0
    if batch:
        yield batch


def _tokens(ids: list[int], dtype: np.dtype) -> np.ndarray:
    return np.fromiter(ids, dtype, len(ids))


def _fast(content: dict[str, Any], tokenizer: tokenizers.Tokenizer) -> tiktoken.Encoding | None:
    """Return what cuts as this tokenizer does, only faster; None where that cannot be shown."""
    pattern, ranks = _pattern(content), _ranks(content)
    if pattern is None or ranks is None or not _closed(content, tokenizer):
        return None
    import tiktoken

    return tiktoken.Encoding("corpus", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def _pattern(content: dict[str, Any]) -> str | None:
    """Return the regular expression that cuts a text as the tokenizer does before it joins bytes."""
    changes = content.get("normalizer") or any(not each["special"] for each in content["added_tokens"])
    return None if changes else _patterns().get(_steps(content.get("pre_tokenizer") or {}))


@cache
def _patterns() -> dict[str, str]:
    return {_steps(json.loads(cut_by(*rules).__getstate__())): pattern for rules, pattern in PATTERNS.items()}


def _cuts_words(content: dict[str, Any]) -> bool:
    """Return whether the tokenizer is one of bytes that takes a text apart at words, or at characters."""
    steps = _steps(content.get("pre_tokenizer") or {})
    if content.get("normalizer") or any(not each["special"] for each in content["added_tokens"]):
        return False
    of_characters = '"use_regex": false' in steps and not content["model"].get("merges")
    return of_characters or any(steps.startswith(known[:-1]) for known in _patterns())


def _steps(pre_tokenizer: dict[str, Any]) -> str:
    """Return the steps of a pre-tokenizer as text, without what only offsets depend on."""
    kept = [{key: each[key] for key in sorted(each) if key != "trim_offsets"} for each in _flat(pre_tokenizer)]
    return json.dumps(kept)


def _flat(pre_tokenizer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "pretokenizers" in pre_tokenizer:
        for each in pre_tokenizer["pretokenizers"]:
            yield from _flat(each)
    else:
        yield pre_tokenizer


def _ranks(content: dict[str, Any]) -> dict[bytes, int] | None:
    """Return every byte and every merged token with its id; None if ids do not tell in what order merges were made."""
    model = content["model"]
    plain = model["type"] == "BPE" and not any(
        model.get(each)
        for each in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
    )
    if not plain or not all(byte in model["vocab"] for byte in BYTE_OF):
        return None
    ids = [model["vocab"][name] for name in _merged(model)]
    if any(later <= earlier for earlier, later in pairwise(ids)):
        return None
    return {bytes(BYTE_OF[each] for each in name): model["vocab"][name] for name in (*BYTE_OF, *_merged(model))}


def _merged(model: dict[str, Any]) -> list[str]:
    """Return the tokens that merges make, in their order."""
    return ["".join(each) if isinstance(each, list) else each.replace(" ", "") for each in model["merges"]]


def _closed(content: dict[str, Any], tokenizer: tokenizers.Tokenizer) -> bool:
    """Return whether every token that a merge makes is one token when it is cut on its own."""
    from tokenizers import Tokenizer

    names = _merged(content["model"])
    alone = Tokenizer(tokenizer.model).encode_batch_fast(names, add_special_tokens=False)
    return all(each.ids == [content["model"]["vocab"][name]] for name, each in zip(names, alone, strict=True))
