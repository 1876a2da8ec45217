"""A labelled set on disk: `train.jsonl`, `validation.jsonl`, `test.jsonl`, `labels.json`, and what was dropped.

A score on a test is worth what the test is worth: so copies across splits are dropped from the split that is seen
earlier, and a label that training cannot know is not asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from lm_modules.data.deduplication.exact import Exact
from lm_modules.data.documents import SPLITS, Document, Example, Unreadable, encodable, with_valid_unicode
from lm_modules.data.funnel import Ledger
from lm_modules.data.labelled import Labelled
from lm_modules.data.split import position, split_at, split_key

FEWEST_LABELS = 2


def collect(member: Labelled, output: Path, seed: int) -> dict[str, Any]:
    """Write the labelled directory and return its report (`report.json`).

    Fewer than two labels, or a split without examples, is a ValueError that says what was dropped.
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    with Ledger(output / "ledger.jsonl") as ledger:
        dropped = _Dropped(member.kind, ledger)
        found = dropped.unreadable_and_empty(member.examples())
        _require_unique_ids(found)
        found = dropped.conflicting_copies(_with_splits(found, member, seed))
        found = dropped.unlearnable_labels(found)
    labels = sorted({each.label for each in found})
    _require_enough(found, labels, dropped)
    (output / "labels.json").write_text(json.dumps(labels, indent=2) + "\n")
    for split in SPLITS:
        _write(output / f"{split}.jsonl", (each for each in found if each.split == split))
    counts = {label: Counter(each.split for each in found if each.label == label) for label in labels}
    report = {
        "kind": member.kind,
        "fingerprint": member.fingerprint(),
        "seed": seed,
        "split_by": member.splits_by(),
        "num_examples": len(found),
        "num_labels": len(labels),
        "splits": {split: sum(each.split == split for each in found) for split in SPLITS},
        "labels": {label: {split: counts[label][split] for split in SPLITS} for label in labels},
        "dropped": dict(dropped.reasons.most_common()),
        "mended": dropped.num_mended,
        "left_out": member.left_out(),
        "shared_groups": _shared_groups(found),
        "ledger_lines": ledger.num_lines,
        "config": member.model_dump(mode="json"),
    }
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def fingerprint(member: Labelled) -> str:
    """Return a digest of what a labelled set would read now."""
    return member.fingerprint()


class _Dropped:
    """Drops examples, each with its reason on the ledger."""

    def __init__(self, source: str, ledger: Ledger):
        self.source, self.ledger = source, ledger
        self.reasons: Counter[str] = Counter()
        self.num_mended = 0

    def drop(self, reason: str, example: Example) -> None:
        """Count and write down one example."""
        self.reasons[reason] += 1
        self.ledger.dropped("collect", reason, Document(example.id, example.text, self.source))

    def unreadable_and_empty(self, examples: Iterable[Example | Unreadable]) -> list[Example]:
        """Return the examples that have a text and a label, in valid Unicode."""
        kept = []
        for each in examples:
            if isinstance(each, Unreadable):
                self.reasons[each.reason] += each.num_lines
                self.ledger.unreadable(each)
            elif not each.text.strip():
                self.drop("empty text", each)
            elif not each.label.strip():
                self.drop("empty label", each)
            elif each.label != encodable(each.label):
                # Mended, two labels could become one.
                self.drop("label is not valid Unicode", each)
            else:
                valid = with_valid_unicode(each)
                self.num_mended += valid != each
                kept.append(replace(valid, label=valid.label.strip()))
        return kept

    def conflicting_copies(self, examples: list[Example]) -> list[Example]:
        """Return one of each text: the copy that is held out the most, because a test must be unseen."""
        order = {split: index for index, split in enumerate(reversed(SPLITS))}
        first: dict[bytes, int] = {}
        for index in sorted(range(len(examples)), key=lambda index: order[str(examples[index].split)]):
            each = examples[index]
            other = examples[first.setdefault(Exact().key(each.text), index)]
            if other is each:
                continue
            if other.split != each.split:
                self.drop(f"copy of an example in {other.split}", each)
            else:
                self.drop("copy" if other.label == each.label else "copy with another label", each)
        return [examples[index] for index in sorted(first.values())]

    def unlearnable_labels(self, examples: list[Example]) -> list[Example]:
        """Return the examples whose label occurs in train, and more than once altogether."""
        counts = Counter(each.label for each in examples)
        known = {each.label for each in examples if each.split == "train"}
        kept = []
        for each in examples:
            if counts[each.label] == 1:
                self.drop("only example of its label", each)
            elif each.label not in known:
                self.drop("label that train does not have", each)
            else:
                kept.append(each)
        return kept


def _with_splits(examples: list[Example], member: Labelled, seed: int) -> list[Example]:
    """Return the examples, each with a split; nothing is added to a split that the source gives."""
    given = {each.split for each in examples if each.split}
    validation_fraction = 0.0 if "validation" in given else member.validation_fraction
    test_fraction = 0.0 if "test" in given else member.test_fraction

    def split(example: Example) -> str:
        place = position(split_key(example), seed)
        return example.split or split_at(place, validation_fraction, test_fraction)

    return [replace(each, split=split(each)) for each in examples]


def _require_unique_ids(examples: list[Example]) -> None:
    """Raise a ValueError if two examples have one id: by it answers are paired when models are compared."""
    id, count = Counter(each.id for each in examples).most_common(1)[0] if examples else ("", 0)
    if count > 1:
        raise ValueError(f"{count} examples have the id {id!r}, so answers to them would be confused; rename a file")


def _require_enough(examples: list[Example], labels: list[str], dropped: _Dropped) -> None:
    reasons = ", ".join(f"{n} for: {reason}" for reason, n in dropped.reasons.most_common()) or "none"
    if len(labels) < FEWEST_LABELS:
        raise ValueError(
            f"{len(labels)} labels are left where {FEWEST_LABELS} are needed (dropped: {reasons}); "
            "check the label column, or add examples"
        )
    for split in SPLITS:
        if not any(each.split == split for each in examples):
            raise ValueError(f"no example is left in {split} (dropped: {reasons}); add examples, or raise its fraction")


def _shared_groups(examples: list[Example]) -> dict[str, int]:
    """Count the groups on both sides of each pair of splits; files that are given may share some."""
    groups = {split: {each.group for each in examples if each.split == split and each.group} for split in SPLITS}
    return {f"{one} and {other}": len(groups[one] & groups[other]) for one, other in combinations(SPLITS, 2)}


def _write(path: Path, examples: Iterable[Example]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for each in examples:
            row = {"id": each.id, "text": each.text, "label": each.label, "group": each.group}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
