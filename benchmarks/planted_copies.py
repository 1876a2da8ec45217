"""Texts with copies planted among them, and with texts that look like copies and are none.

A planted copy is a text of which a share of the words was edited: each such word is replaced by another word of the
corpus, deleted, or followed by one, by equal chance. Of the hard negatives half share sentences with a text, of
half of its words, and half share a paragraph of a third of its length, at their beginning.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

EDITED_FRACTIONS = (0.05, 0.10, 0.20)
SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+")


@dataclass
class PlantedCopies:
    """Texts in order; `copies` are pairs of places by the share of edited words, `look_alikes` the hard negatives."""

    texts: list[str] = field(default_factory=list)
    copies: dict[float, list[tuple[int, int]]] = field(default_factory=dict)
    look_alikes: list[tuple[int, int]] = field(default_factory=list)


def planted(passages: list[str], num_copies: int, num_look_alikes: int, seed: int) -> PlantedCopies:
    """Plant copies of every share of edited words, `num_copies` in all, and hard negatives, in shuffled order."""
    chance = random.Random(seed)
    words = [word for text in passages[:200] for word in text.split()]
    needed = num_copies + 2 * num_look_alikes
    if len(passages) < needed:
        raise ValueError(f"{len(passages)} passages are too few for {needed} different ones; give more, or plant less")
    rest = iter(chance.sample(passages, len(passages)))
    texts: list[str] = []
    copies: dict[float, list[tuple[int, int]]] = {fraction: [] for fraction in EDITED_FRACTIONS}
    for number in range(num_copies):
        fraction = EDITED_FRACTIONS[number % len(EDITED_FRACTIONS)]
        text = next(rest)
        copies[fraction].append((len(texts), len(texts) + 1))
        texts += [text, edited(text, fraction, words, chance)]
    look_alikes = []
    for number in range(num_look_alikes):
        text, other = next(rest), next(rest)
        look_alikes.append((len(texts), len(texts) + 1))
        texts += [text, half_shared(text, other, chance) if number % 2 else paragraph_shared(text, other)]
    texts += rest
    order = chance.sample(range(len(texts)), len(texts))
    place = {before: after for after, before in enumerate(order)}
    return PlantedCopies(
        [texts[before] for before in order],
        {each: [(place[a], place[b]) for a, b in pairs] for each, pairs in copies.items()},
        [(place[a], place[b]) for a, b in look_alikes],
    )


def edited(text: str, fraction: float, words: list[str], chance: random.Random) -> str:
    """Return the text with that share of its words edited."""
    found = text.split()
    for place in sorted(chance.sample(range(len(found)), round(fraction * len(found))), reverse=True):
        edit = chance.randrange(3)
        found[place : place + 1] = [[chance.choice(words)], [], [found[place], chance.choice(words)]][edit]
    return " ".join(found)


def half_shared(text: str, other: str, chance: random.Random) -> str:
    """Return sentences of the text, of half of its words at most, scattered among as many words from elsewhere."""
    kept = _some_sentences(text, len(text.split()) // 2, chance)
    sentences = kept + _some_sentences(other, len(text.split()) - sum(len(each.split()) for each in kept), chance)
    return " ".join(chance.sample(sentences, len(sentences)))


def _some_sentences(text: str, most_words: int, chance: random.Random) -> list[str]:
    sentences, kept = SENTENCE_END.split(text), []
    for sentence in chance.sample(sentences, len(sentences)):
        if len(sentence.split()) <= most_words:
            kept.append(sentence)
            most_words -= len(sentence.split())
    return kept


def paragraph_shared(text: str, other: str) -> str:
    """Return the text's first third, and two thirds from elsewhere."""
    ours, theirs = text.split(), other.split()
    return " ".join(ours[: len(ours) // 3] + theirs[len(theirs) // 3 :])


def cut(text: str, num_words: int, least: int) -> list[str]:
    """Cut a text into pieces of so many words; a last piece of at least `least` words counts."""
    words = text.split()
    pieces = [words[start : start + num_words] for start in range(0, len(words), num_words)]
    return [" ".join(piece) for piece in pieces if len(piece) >= least]


def unlike(texts: Iterable[str]) -> list[str]:
    """Return the texts that share at most a tenth of their runs of five words with all earlier ones together.

    So whatever else is found than what is planted is an error.
    """
    seen: set[tuple[str, ...]] = set()
    kept = []
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        runs = set(zip(*(words[start:] for start in range(5)), strict=False))
        if len(runs & seen) <= len(runs) / 10:
            kept.append(text)
            seen |= runs
    return kept


def recall(found: Sequence[int], pairs: list[tuple[int, int]]) -> float:
    """Return the share of pairs that are in one cluster; `found` names the cluster of each text."""
    return sum(found[one] == found[other] for one, other in pairs) / len(pairs)


def precision(corpus: PlantedCopies, found: Sequence[int]) -> float:
    """Return the share of planted copies among all pairs in one cluster."""
    sizes = Counter(found)
    pairs = sum(size * (size - 1) // 2 for size in sizes.values())
    true = sum(found[one] == found[other] for each in corpus.copies.values() for one, other in each)
    return true / pairs if pairs else 1.0
