"""Raw text to a corpus: read, clean, filter, deduplicate, split; with an account of everything that was dropped.

    sources -> cleaners -> filters -> deduplication -> train.parquet, validation.parquet, test.parquet
                  \\           \\             \\-> ledger.jsonl (one line a dropped document)
                   \\-----------\\-------------> report.json, data_card.md

Documents stream through one by one. Memory holds a batch of them, and 16 bytes for each that was kept (to find copies).
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.cleaners import Cleaner
from lm_modules.data.corpus import SplitWriter, fill_split, total
from lm_modules.data.data_card import data_card
from lm_modules.data.deduplication.exact import Exact
from lm_modules.data.documents import SPLITS, Document, Unreadable, with_valid_unicode
from lm_modules.data.filters import Filter
from lm_modules.data.funnel import Funnel, Ledger
from lm_modules.data.split import position, split_at, split_key
from lm_modules.progress import Report, keep_going

DOCUMENTS_PER_REPORT = 200
Act = Callable[[Document], tuple[str, str | None]]
"""What a step does: the document's new text, and the reason to drop it or None."""
PERCENTILES = (1, 10, 25, 50, 75, 90, 99)


def prepare(config: DataPreparationConfig, output: Path, seed: int, report: Report = keep_going) -> dict[str, Any]:
    """Write the corpus directory and return its report (`report.json`, and the seconds that it took).

    `report(number of documents read, {})` is called now and then; if it answers true, an InterruptedError ends it.
    No document left, or too few to fill the splits, is a ValueError that names what dropped them.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with Ledger(output / "ledger.jsonl") as ledger:
        run = _Run(config, seed, ledger)
        writers = {split: SplitWriter(output / f"{split}.parquet") for split in SPLITS}
        try:
            for document in run.kept(report):
                writers[document.split or "train"].write(document)
        finally:
            sizes = {split: writer.close() for split, writer in writers.items()}
    warnings = run.funnel.warnings()
    warnings += _fill_empty_splits(config, output, sizes, run)
    found = {
        "fingerprint": fingerprint(config),
        "sha256": hashlib.sha256("".join(sizes[split]["sha256"] for split in SPLITS).encode()).hexdigest(),
        "seed": seed,
        "documents": total(sizes, "documents"),
        "characters": total(sizes, "characters"),
        "bytes": total(sizes, "bytes"),
        "splits": sizes,
        **run.funnel.as_dict(),
        "lengths": {"characters": _percentiles(run.characters), "words": _percentiles(run.words)},
        "warnings": warnings,
        "ledger_lines": ledger.num_lines,
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: version(name) for name in ("ftfy", "pyarrow", "pydantic")},
        "config": config.model_dump(mode="json"),
    }
    (output / "report.json").write_text(json.dumps(found, indent=2) + "\n")
    (output / "data_card.md").write_text(data_card(found))
    # Not in the files, so that equal corpora have equal digests.
    return found | {"seconds": round(time.perf_counter() - started, 2), "seconds_by_step": run.seconds_by_step()}


def fingerprint(config: DataPreparationConfig) -> str:
    """Return a digest of the settings and of the sources' content: equal ones give equal corpora."""
    parts = [config.model_dump_json(), *(source.fingerprint() for source in config.sources)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class _Run:
    """One pass over the sources."""

    def __init__(self, config: DataPreparationConfig, seed: int, ledger: Ledger):
        self.config, self.seed = config, seed
        self.acts: dict[str, Act] = {}
        for act, members in (
            (self._clean, config.cleaners),
            (self._filter, config.filters),
            (self._deduplicate, (config.deduplication,) if config.deduplication else ()),
        ):
            for member in members:
                self.acts[_free_name(member.kind, self.acts)] = partial(act, member)
        self.funnel = Funnel(["read", *self.acts], ledger)
        self.seen: set[bytes] = set()
        self.characters: Counter[int] = Counter()
        self.words: Counter[int] = Counter()
        self.nearest_train: dict[str, tuple[float, str]] = {}
        """Of the train documents that come next after the held-out ones: what decides the split -> place and name."""

    def kept(self, report: Report) -> Iterator[Document]:
        """Yield the documents that pass every step, with their split."""
        num_read = 0
        for source in self.config.sources:
            for read in source.documents():
                num_read += 1
                if num_read % DOCUMENTS_PER_REPORT == 0 and report(num_read, {}):
                    raise InterruptedError(f"the preparation was stopped after {num_read} documents")
                if isinstance(read, Unreadable):
                    self.funnel.unreadable(read)
                elif document := self._through_all_steps(read):
                    self.characters[_rounded(len(document.text))] += 1
                    self.words[_rounded(len(document.text.split()))] += 1
                    yield replace(document, split=self._split(document))
        report(num_read, {})

    def _through_all_steps(self, read: Document) -> Document | None:
        document = with_valid_unicode(read)
        if not document.text.strip():
            self.funnel.dropped("read", document, "empty")
            return None
        self.funnel.passed("read", read, document.text)
        for step, act in self.acts.items():
            started = time.perf_counter()
            text, reason = act(document)
            self.funnel.seconds[step] += time.perf_counter() - started
            if reason:
                self.funnel.dropped(step, document, reason)
                return None
            self.funnel.passed(step, document, text)
            document = replace(document, text=text)
        return document

    def _clean(self, cleaner: Cleaner, document: Document) -> tuple[str, str | None]:
        text = cleaner.clean(document.text)
        return text, None if text.strip() else "empty after cleaning"

    def _filter(self, rule: Filter, document: Document) -> tuple[str, str | None]:
        return document.text, rule.reason_to_drop(document) if rule.judges(document) else None

    def _deduplicate(self, deduplication: Exact, document: Document) -> tuple[str, str | None]:
        key = deduplication.key(document.text)
        if key in self.seen:
            return document.text, "copy of an earlier document"
        self.seen.add(key)
        return document.text, None

    def _split(self, document: Document) -> str:
        key = split_key(document)
        place = position(key, self.seed)
        fractions = self.config.split
        split = document.split or split_at(place, fractions.validation_fraction, fractions.test_fraction)
        if split == "train":
            nearest = {key: (place, document.group or document.id)} | self.nearest_train
            # Three, so that one is left for train when two splits are empty.
            self.nearest_train = dict(sorted(nearest.items(), key=lambda item: item[1])[:3])
        return split

    def seconds_by_step(self) -> dict[str, float]:
        """Return how long each step worked."""
        return {step: round(seconds, 3) for step, seconds in self.funnel.seconds.items()}


def _free_name(kind: str, taken: Collection[str]) -> str:
    """Return the kind, or "kind 2" for the second of a kind."""
    number = 1 + sum(name.partition(" ")[0] == kind for name in taken)
    return kind if number == 1 else f"{kind} {number}"


def _fill_empty_splits(config: DataPreparationConfig, output: Path, sizes: dict[str, Any], run: _Run) -> list[str]:
    """Give a split that the hash left empty the nearest documents of train, and return warnings that say so."""
    dropped = ", ".join(f"{n} by {reason}" for reason, n in run.funnel.reasons().most_common())
    if not total(sizes, "documents"):
        raise ValueError(f"no document is left (dropped: {dropped or 'none'}); loosen the filters, or add text")
    wanted = {"validation": config.split.validation_fraction, "test": config.split.test_fraction}
    warnings = []
    for split in [name for name, fraction in wanted.items() if fraction and not sizes[name]["documents"]]:
        if len(run.nearest_train) < 2:
            raise ValueError(
                f"{total(sizes, 'documents')} documents are too few for the splits, or lie in too few groups that "
                f"must not be parted (dropped: {dropped or 'none'}): nothing is left for {split}; add text, or cut it "
                "into more documents or groups"
            )
        key = next(iter(run.nearest_train))
        _, name = run.nearest_train.pop(key)
        fill_split(output, sizes, split, key)
        warnings.append(f"so few documents that {split} would have been empty; {name!r} was moved there from train")
    if not sizes["train"]["documents"]:
        raise ValueError(f"no document is left to train on (dropped: {dropped or 'none'}); add text")
    return warnings


def _rounded(length: int) -> int:
    """Return the length to two digits, so that counting lengths takes little memory."""
    digits = max(len(str(length)) - 2, 0)
    return int(round(length, -digits))


def _percentiles(lengths: Counter[int]) -> dict[str, int]:
    """Return percentiles of counted lengths: the smallest length that enough documents do not exceed."""
    found, below, items = {}, 0, sorted(lengths.items())
    remaining = list(PERCENTILES)
    for length, count in items:
        below += count
        while remaining and below >= remaining[0] / 100 * lengths.total():
            found[f"p{remaining.pop(0)}"] = length
    return found
