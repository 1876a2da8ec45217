"""Passages of documents, their keys, and which of them occur too often in all documents together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import xxhash

from lm_modules.data.deduplication import CopiedPassages
from lm_modules.data.key_files import KeyFiles, runs_of_equals
from lm_modules.data.text_words import WordNumbers, ngram_numbers, words_of

KEYS_AT_ONCE = 8_000_000
"""Keys that are sorted together; with their places and order some 300 MB."""
RUNS_AT_ONCE = 100_000
WORDS = WordNumbers()

Spans = tuple[np.ndarray, np.ndarray, np.ndarray]


def repeated_passages(
    rule: CopiedPassages, keys: Sequence[Path], goes: Sequence[Path], keys_at_once: int = KEYS_AT_ONCE
) -> int:
    """Write for each file of keys, [passages] as `.npy`, a file of booleans: which passages go; return how many.

    The files stand for the parts of a corpus in their order, so the first of equal passages is the first in the corpus.
    Memory holds the keys of one share (`KeyFiles`).
    """
    files = KeyFiles(keys, keys_at_once)
    for path, size in zip(goes, files.sizes, strict=True):
        np.save(path, np.zeros(size, bool))
    num_gone = 0
    for places, values in files.shares():
        order = np.argsort(values, kind="stable")
        begins, sizes = runs_of_equals(values[order])
        gone = np.repeat(sizes >= rule.min_occurrences, sizes)
        if rule.keep_first:
            gone[begins] = False
        num_gone += int(gone.sum())
        for number, local in files.by_file(np.sort(places[order[gone]])):
            marks = np.load(goes[number])
            marks[local] = True
            np.save(goes[number], marks)
    return num_gone


def keyed_spans(text: str, spans: Iterable[tuple[int, int]], min_characters: int) -> Spans:
    """Return the passages at those places that are long enough; white space at their ends is not counted."""
    found = [
        (start, end, _key(" ".join(stripped.split())))
        for start, end in spans
        if len(stripped := text[start:end].strip()) >= min_characters
    ]
    starts, ends, keys = zip(*found, strict=True) if found else ((), (), ())
    return np.array(starts, np.int64), np.array(ends, np.int64), np.array(keys, np.uint64)


def sampled_runs(text: str, words: int, sampled_words: int) -> Spans:
    """Return runs of so many words, of every `sampled_words` that follow one another at least one."""
    found, starts, at = words_of(text), [], 0
    for word in found:
        at = text.index(word, at)
        starts.append(at)
        at += len(word)
    bounds = np.array([*starts, len(text)], np.int64)
    chosen = _smallest_of_neighbours(keys := ngram_numbers(WORDS.of(found), words), sampled_words)
    return bounds[chosen], bounds[chosen + words], keys[chosen]


def _smallest_of_neighbours(keys: np.ndarray, num_neighbours: int) -> np.ndarray:
    """Return the places of the smallest of every so many keys that follow one another; of all, if they are fewer."""
    if len(keys) <= num_neighbours:
        return keys.argmin(axis=0, keepdims=True) if len(keys) else np.empty(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(keys, num_neighbours)
    found = [
        np.unique(
            windows[begin : begin + RUNS_AT_ONCE].argmin(axis=1)
            + np.arange(begin, min(begin + RUNS_AT_ONCE, len(windows)))
        )
        for begin in range(0, len(windows), RUNS_AT_ONCE)
    ]
    return np.unique(np.concatenate(found))


def _key(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode(errors="surrogatepass"))
