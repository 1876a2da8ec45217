"""Finds texts of evaluation sets in training documents: a model that has read the questions is judged too well.

    evaluation text    What causes precipitation to fall?
    words              what causes precipitation to fall          five words: looked for as a whole
    document           ... as "What causes
                       precipitation to fall" was asked ...       a hit

Words are compared in lower case and without punctuation. A text of 13 words or more is hit by any 13 of its words that
stand in a row (GPT-3: Brown et al. 2020, arXiv 2005.14165, appendix C; lm-evaluation-harness does the same). A shorter
one has no 13 words, so it is looked for as a whole: most sentences of BLiMP are short, and by 13 words alone they would
all count as clean.

GPT-3 also forgave 13 words that stood in more than ten documents. Here nothing is forgiven: whether a document is hit
would then depend on all others, and a shard of them could not be judged alone.
"""

# R runs of words that make a hit, I evaluation texts (items)

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from configs.decontamination import DecontaminationConfig
from lm_modules.data.word_runs import RunsOfWords

TABLE_BITS = 22
PIECE_CHARACTERS, OVERLAP_CHARACTERS = 1_000_000, 10_000
ARRAYS = (
    *("numbers_R", "sizes_R", "digests_R", "ends_R", "owners"),  # runs; those who have them, one run after the other
    *("names", "items", "searched"),  # of the sets
    *("beginnings", "min_words"),  # numbers of the first words of runs, and how many words these are
)


class Index:
    """The runs of words that make a hit: found by a number of 64 bits, confirmed by a digest of 128 bits."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = arrays
        self._numbers_R = arrays["numbers_R"]
        self._sizes = np.unique(arrays["sizes_R"]).astype(np.int64)
        self._min_words = int(arrays["min_words"])
        # Few places of a document begin like some run; a look at one byte says which do.
        self._table = np.zeros(1 << TABLE_BITS, bool)
        self._table[_places(arrays["beginnings"])] = True
        self._first_items = np.concatenate([[0], np.cumsum(arrays["items"])])

    @classmethod
    def of(cls, sets: Mapping[str, Iterable[str]], settings: DecontaminationConfig) -> Index:
        """Return the index of the texts of evaluation sets, by the name of the set."""
        owners_by_run: dict[tuple[int, int, bytes], list[int]] = {}
        item, items, searched, beginnings = 0, list[int](), list[int](), set[int]()
        for texts in sets.values():
            first, num_searched = item, 0
            for item, text in enumerate(texts, start=first + 1):
                runs = RunsOfWords(text)
                size = min(runs.num_words, settings.run_words)
                if size < settings.min_words or len(" ".join(runs.words(0, size)).encode()) < settings.min_bytes:
                    continue
                num_searched += 1
                beginnings.update(runs.numbers(settings.min_words)[: runs.num_words - size + 1].tolist())
                for start, number in enumerate(runs.numbers(size).tolist()):
                    owners = owners_by_run.setdefault((number, size, runs.digest(start, size)), [])
                    if item - 1 not in owners[-1:]:
                        owners.append(item - 1)
            items.append(item - first)
            searched.append(num_searched)
        keys = sorted(owners_by_run)
        return cls(
            {
                "numbers_R": np.array([number for number, _, _ in keys], np.uint64),
                "sizes_R": np.array([size for _, size, _ in keys], np.uint8),
                "digests_R": np.array([digest for _, _, digest in keys], "V16"),
                "ends_R": np.cumsum([len(owners_by_run[key]) for key in keys], dtype=np.int64),
                "owners": np.array([each for key in keys for each in owners_by_run[key]], np.int64),
                "beginnings": np.array(sorted(beginnings), np.uint64),
                "min_words": np.array(settings.min_words),
                "names": np.array([*sets], str),
                "items": np.array(items, np.int64),
                "searched": np.array(searched, np.int64),
            }
        )

    def save(self, directory: Path) -> None:
        """Write the index as files of numpy, which the processes that load them share in memory."""
        directory.mkdir(parents=True, exist_ok=True)
        for name in ARRAYS:
            np.save(directory / f"{name}.npy", self._arrays[name], allow_pickle=False)

    @classmethod
    def load(cls, directory: Path) -> Index:
        """Return a saved index; its arrays stay in the files and are read where they are looked into."""
        return cls({name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS})

    def sets(self) -> dict[str, dict[str, int]]:
        """Return for every set how many items it has, and how many of them are long enough to be looked for."""
        columns = (self._arrays[name].tolist() for name in ("names", "items", "searched"))
        return {name: {"items": items, "searched": searched} for name, items, searched in zip(*columns, strict=True)}

    def hits(self, text: str) -> dict[str, tuple[int, ...]]:
        """Return the items that a text holds, by set: their places in the set, counted from 0."""
        if not len(self._numbers_R):
            return {}
        return self._by_set({owner for piece in _pieces(text) for owner in self._owners_in(piece)})

    def _owners_in(self, text: str) -> set[int]:
        runs, owners = RunsOfWords(text), set[int]()
        starts = np.flatnonzero(self._table[_places(runs.numbers(self._min_words))])
        starts, sizes = (each.ravel() for each in np.meshgrid(starts, self._sizes))
        numbers = runs.numbers_at(starts, sizes)
        rows = np.searchsorted(self._numbers_R, numbers)
        equal = np.flatnonzero(self._numbers_R.take(rows, mode="clip") == numbers)
        for start, size, row in zip(starts[equal].tolist(), sizes[equal].tolist(), rows[equal].tolist(), strict=True):
            owners.update(self._owners(row, size, runs.digest(start, size)))
        return owners

    def _owners(self, row: int, size: int, digest: bytes) -> list[int]:
        """Return the items of a run, whose number is that of `row`, or no items if only the number is equal."""
        number, last = self._numbers_R[row], len(self._numbers_R)
        while row < last and self._numbers_R[row] == number:
            if self._arrays["sizes_R"][row] == size and self._arrays["digests_R"][row].tobytes() == digest:
                ends = self._arrays["ends_R"]
                return self._arrays["owners"][ends[row - 1] if row else 0 : ends[row]].tolist()
            row += 1
        return []

    def _by_set(self, owners: set[int]) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for owner in sorted(owners):
            place = int(np.searchsorted(self._first_items, owner, side="right")) - 1
            name = str(self._arrays["names"][place])
            found[name] = (*found.get(name, ()), owner - int(self._first_items[place]))
        return found


@dataclass
class ContaminationCounts:
    """What was hit in many documents; counts of shards add up to those of the whole."""

    documents: Counter[str] = field(default_factory=Counter)
    """Documents with a hit, by set."""
    items: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    """Documents with a hit, by set and item."""

    def add(self, hits: Mapping[str, Iterable[int]]) -> None:
        """Count what `Index.hits` said of a document."""
        for name, items in hits.items():
            self.documents[name] += 1
            self.items[name].update(items)

    def update(self, other: ContaminationCounts) -> None:
        """Add the counts of other documents."""
        self.documents.update(other.documents)
        for name, items in other.items.items():
            self.items[name].update(items)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        items = {name: {str(item): count for item, count in each.items()} for name, each in self.items.items()}
        return {"documents": dict(self.documents), "items": items}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Return the counts that `as_dict` gave."""
        found = cls(Counter(content["documents"]))
        for name, items in content["items"].items():
            found.items[name] = Counter({int(item): count for item, count in items.items()})
        return found

    def report(self, index: Index, num_worst: int = 5) -> dict[str, dict[str, Any]]:
        """Return for every set its items, those searched for and hit, the documents, and the items hit most often."""
        return {
            name: {
                **sizes,
                "hit": len(self.items.get(name, ())),
                "documents": self.documents[name],
                "most_hit": [list(each) for each in _commonest(self.items.get(name, Counter()), num_worst)],
            }
            for name, sizes in index.sets().items()
        }


def _commonest(counts: Counter[int], count: int) -> list[tuple[int, int]]:
    """Return the first of those counted most, in an order that does not depend on which was counted first."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:count]


def _pieces(text: str) -> Iterator[str]:
    """Yield parts of a huge text that overlap, so that memory is bounded; most texts are one piece."""
    for start in range(0, max(len(text) - OVERLAP_CHARACTERS, 1), PIECE_CHARACTERS):
        yield text[start : start + PIECE_CHARACTERS + OVERLAP_CHARACTERS]


def _places(numbers: np.ndarray) -> np.ndarray:
    return numbers >> np.uint64(64 - TABLE_BITS)
