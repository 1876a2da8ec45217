"""Copies over all parts: what a part tells of its texts, what is found over all of them, what that means for the part.

    part 0: sketches \\                          / verdict 0: which documents go, and which is kept for each;
    part 1: sketches  > find_copies (clusters)            which passages go
    part 2: sketches /                          \\ verdict 1 ...

A document that one way of deduplication drops takes no part in those after it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet

from lm_modules.data.cluster_report import cluster_report
from lm_modules.data.clusters import find_clusters
from lm_modules.data.deduplication import CopiedDocuments, CopiedPassages
from lm_modules.data.parts import part_directory, written
from lm_modules.data.passages import repeated_passages

DOCUMENTS = "documents.parquet"
CLUSTERS = "clusters.json"

Rule = CopiedDocuments | CopiedPassages


class SketchWriter:
    """Collects what the rules need to know of the texts of a part, in their order."""

    def __init__(self, rules: Sequence[Rule]):
        self.rules = rules
        self.found: list[list[np.ndarray]] = [[] for _ in rules]

    def add(self, text: str) -> None:
        """Look at a text."""
        for rule, found in zip(self.rules, self.found, strict=True):
            found.append(rule.sketch(text) if isinstance(rule, CopiedDocuments) else rule.passages(text)[2])

    def save(self, part: Path) -> None:
        """Write sketches [documents, numbers], or keys of passages [passages] and how many each document has."""
        for number, (rule, found) in enumerate(zip(self.rules, self.found, strict=True)):
            if isinstance(rule, CopiedDocuments):
                np.save(_sketches(part, number), np.stack([*found]) if found else _no_sketches(rule))
            else:
                np.save(_keys(part, number), np.concatenate([np.empty(0, np.uint64), *found]))
                np.save(_counts(part, number), np.array([len(each) for each in found], np.int64))


class PartVerdict:
    """What becomes of the documents of a part, by every rule."""

    def __init__(self, rules: Sequence[Rule], part: Path, verdict: Path):
        self.rules = rules
        self._copies: dict[int, dict[int, str]] = {}
        self._goes: dict[int, list[np.ndarray]] = {}
        for number, rule in enumerate(rules):
            if isinstance(rule, CopiedDocuments):
                content = json.loads(_copies(verdict, number).read_text())
                self._copies[number] = {int(row): name for row, name in content.items()}
            else:
                ends = np.cumsum(np.load(_counts(part, number)))
                self._goes[number] = np.split(np.load(_goes(verdict, number)), ends[:-1])

    def copy_of(self, number: int, row: int) -> str | None:
        """Return the id of the document of which this one is a copy; None if it stays."""
        return self._copies[number].get(row) if number in self._copies else None

    def without_passages(self, number: int, row: int, text: str) -> str:
        """Return the text without the passages that go."""
        rule = self.rules[number]
        return rule.without(text, self._goes[number][row]) if isinstance(rule, CopiedPassages) else text


def find_copies(rules: Sequence[Rule], parts: Sequence[Path], folder: Path) -> None:
    """Write into `folder` a verdict for every part, and `clusters.json`, a report for each rule that drops documents.

    Memory is that of `find_clusters` and of the names of the documents of which there are copies.
    """
    if folder.exists():
        return
    with written(folder) as unfinished:
        verdicts = [part_directory(unfinished, number) for number in range(len(parts))]
        for verdict in verdicts:
            verdict.mkdir()
        sizes = [arrow.parquet.ParquetFile(part / DOCUMENTS).metadata.num_rows for part in parts]
        stays = [np.ones(size, bool) for size in sizes]
        reports = {}
        for number, rule in enumerate(rules):
            if isinstance(rule, CopiedDocuments):
                reports[number] = _find_documents(rule, number, parts, verdicts, stays, unfinished)
            else:
                _find_passages(rule, number, parts, verdicts, stays)
        (unfinished / CLUSTERS).write_text(json.dumps(reports))


def _find_documents(
    rule: CopiedDocuments,
    number: int,
    parts: Sequence[Path],
    verdicts: Sequence[Path],
    stays: list[np.ndarray],
    folder: Path,
) -> dict[str, Any]:
    """Write which documents go, take them out of `stays`, and return the report of the clusters."""
    keepers = find_clusters(rule, [_sketches(part, number) for part in parts], folder, stays)
    starts = [0, *accumulate(len(each) for each in keepers)]
    own = [np.arange(start, start + len(each)) for start, each in zip(starts, keepers, strict=False)]
    drops = [(keeper >= 0) & (keeper != each) for keeper, each in zip(keepers, own, strict=True)]
    needed = np.concatenate(
        [np.empty(0, np.int64), *(keeper[drop] for keeper, drop in zip(keepers, drops, strict=True))]
    )
    dropped = np.concatenate([np.empty(0, np.int64), *(each[drop] for each, drop in zip(own, drops, strict=True))])
    names, sources, source_of = _names(parts, starts, np.union1d(needed, dropped))
    for verdict, keeper, drop in zip(verdicts, keepers, drops, strict=True):
        rows = np.flatnonzero(drop)
        _copies(verdict, number).write_text(
            json.dumps({str(row): names[kept] for row, kept in zip(rows.tolist(), keeper[rows].tolist(), strict=True)})
        )
    for each, drop in zip(stays, drops, strict=True):
        each &= ~drop
    return cluster_report(keepers, names.__getitem__, sources, source_of)


def _names(
    parts: Sequence[Path], starts: Sequence[int], numbers: np.ndarray
) -> tuple[dict[int, str], list[str], list[np.ndarray]]:
    """Return the ids of the documents of these numbers, the names of all sources, and each part's places in them."""
    names: dict[int, str] = {}
    sources: dict[str, int] = {}
    source_of = []
    for part, start, end in zip(parts, starts, starts[1:], strict=False):
        table = arrow.parquet.read_table(part / DOCUMENTS, columns=["id", "source"])
        rows = numbers[(numbers >= start) & (numbers < end)] - start
        ids = table.column("id").take(arrow.array(rows)).to_pylist()
        names.update(zip((rows + start).tolist(), ids, strict=True))
        found = [sources.setdefault(each, len(sources)) for each in table.column("source").to_pylist()]
        source_of.append(np.array(found, np.int32))
    return names, list(sources), source_of


def _find_passages(
    rule: CopiedPassages, number: int, parts: Sequence[Path], verdicts: Sequence[Path], stays: list[np.ndarray]
) -> None:
    """Write which passages go; those of documents that went already are not counted."""
    counted = [verdict / f"counted.{number}.npy" for verdict in verdicts]
    chosen = [verdict / f"chosen.{number}.npy" for verdict in verdicts]
    marks = [np.repeat(stay, np.load(_counts(part, number))) for part, stay in zip(parts, stays, strict=True)]
    for part, path, mark in zip(parts, counted, marks, strict=True):
        np.save(path, np.load(_keys(part, number))[mark])
    repeated_passages(rule, counted, chosen)
    for verdict, mark, keys, goes in zip(verdicts, marks, counted, chosen, strict=True):
        mark[mark] = np.load(goes)
        np.save(_goes(verdict, number), mark)
        keys.unlink()
        goes.unlink()


def _sketches(part: Path, number: int) -> Path:
    return part / f"sketches.{number}.npy"


def _keys(part: Path, number: int) -> Path:
    return part / f"passages.{number}.npy"


def _counts(part: Path, number: int) -> Path:
    return part / f"passages of documents.{number}.npy"


def _copies(verdict: Path, number: int) -> Path:
    return verdict / f"copies.{number}.json"


def _goes(verdict: Path, number: int) -> Path:
    return verdict / f"goes.{number}.npy"


def _no_sketches(rule: CopiedDocuments) -> np.ndarray:
    one = rule.sketch("")
    return np.empty((0, len(one)), one.dtype)
