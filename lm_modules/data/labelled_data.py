"""A labelled set on disk: `train.jsonl`, `validation.jsonl`, `test.jsonl`, `labels.json`, `head.json`, and the ledger.

A score on a test is worth what the test is worth: so copies across splits are dropped from the split that is seen
earlier. The labels to answer with are those of train. A held-out example with another one is dropped; of tags, and of
several labels, the others are asked for all the same, and that one counts as missed.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from lm_modules.data import labelled_beside
from lm_modules.data.deduplication.exact import Exact
from lm_modules.data.documents import SPLITS, Document, Example, Unreadable, encodable
from lm_modules.data.funnel import Ledger
from lm_modules.data.labelled import Labelled
from lm_modules.data.labelled_examples import BESIDE
from lm_modules.data.split import position, split_at
from lm_modules.heads import Head

logger = logging.getLogger(__name__)

FEWEST_LABELS = 2
FEW_GROUPS = 50
"""With fewer groups than this a split may get none by chance: of 50, one tenth is empty once in 200 times."""


def collect(
    member: Labelled, head: Head, output: Path, seed: int, beside: Mapping[str, tuple[Labelled, Head]] | None = None
) -> dict[str, Any]:
    """Write the labelled directory and return its report (`report.json`).

    Fewer than two labels where answers are labels, or a split without examples, is a ValueError that says what was
    dropped. What is learned `beside`, by name, is written to `beside/<name>`, each a labelled directory. A text goes to
    the split that it has in the sets before, where the source gives none; what another set holds out later is dropped.
    """
    output = Path(output)
    with ExitStack() as ledgers:
        main = _Set("finetuning.data", member, head, output, ledgers)
        others = {
            name: _Set(f"beside.{name}", *each, output / BESIDE / name, ledgers)
            for name, each in (beside or {}).items()
        }
        known: labelled_beside.Held = {}
        for each in (main, *others.values()):
            with each.named(is_main=each is main):
                each.read(seed, known)
            known = labelled_beside.latest([known, each.held()])
        sets = {each.name: each.held() for each in (main, *others.values())}
        for each in (main, *others.values()):
            each.drop_leaks(sets)
    reports = {}
    for name, each in others.items():
        with each.named(is_main=False):
            reports[name] = each.write(seed)
    return main.write(seed, {"beside": reports} if reports else {})


class _Set:
    """One labelled set: its examples and what became of them."""

    def __init__(self, name: str, member: Labelled, head: Head, output: Path, ledgers: ExitStack) -> None:
        output.mkdir(parents=True, exist_ok=True)
        self.name, self.member, self.head, self.output = name, member, head, output
        self.ledger = ledgers.enter_context(Ledger(output / "ledger.jsonl"))
        self.dropped = _Dropped(member.kind, head, self.ledger)
        self.found: list[Example] = []
        self.given: set[str | None] = set()
        """The splits that the source gives."""

    @contextmanager
    def named(self, *, is_main: bool) -> Iterator[None]:
        """Say in errors which set they are of, where it is not the one that everybody has."""
        try:
            yield
        except ValueError as error:
            raise error if is_main else ValueError(f"finetuning.{self.name}.data: {error}") from error

    def read(self, seed: int, known: labelled_beside.Held) -> None:
        """Read what is of use, each example with its split."""
        read = self.member.examples((*self.head.inputs, self.head.target), self.head.optional)
        found = self.dropped.unreadable_and_unfit(read)
        _require_unique_ids(found)
        self.given = {each.split for each in found if each.split}
        found = _without_one_group(found, self.name, self.member)
        self.found = self.dropped.conflicting_copies(_with_splits(found, self.member, self.head, seed, known))

    def held(self) -> labelled_beside.Held:
        """Return in which split each text is."""
        return labelled_beside.held(self.name, self.head, self.found)

    def drop_leaks(self, sets: Mapping[str, labelled_beside.Held]) -> None:
        """Drop the texts that another set holds out, and what can then not be learned."""
        leaks = labelled_beside.leaks(self.name, self.head, self.found, sets)
        for each, leak in zip(self.found, leaks, strict=True):
            if leak:
                reason, copy_of = leak
                self.dropped.drop(reason, each, copy_of)
        kept = [each for each, leak in zip(self.found, leaks, strict=True) if not leak]
        self.found = self.dropped.unlearnable_labels(kept)

    def write(self, seed: int, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Write the directory, and return its report with `more` in it."""
        member, head, output, found, dropped = self.member, self.head, self.output, self.found, self.dropped
        counts = _counts_by_label(found, head)
        labels = sorted(label for label, of_split in counts.items() if of_split["train"])
        _require_splits(found, member, self.given, dropped)
        _require_labels(counts, labels, dropped)
        (output / "labels.json").write_text(json.dumps(labels, indent=2) + "\n")
        (output / "head.json").write_text(head.model_dump_json() + "\n")
        for split in SPLITS:
            _write(output / f"{split}.jsonl", (each for each in found if each.split == split))
        report = {
            "kind": member.kind,
            "fingerprint": member.fingerprint(),
            "seed": seed,
            "split_by": _split_by("test", found, member),
            "validation_split_by": _split_by("validation", found, member),
            "num_examples": len(found),
            "num_labels": len(labels),
            "splits": {split: sum(each.split == split for each in found) for split in SPLITS},
            "labels": {label: {split: counts[label][split] for split in SPLITS} for label in sorted(counts)},
            "with_unknown_labels": {split: dropped.num_with_unknown[split] for split in SPLITS if split != "train"},
            "dropped": dict(dropped.reasons.most_common()),
            "mended": dropped.num_mended,
            "left_out": member.left_out(),
            "shared_groups": _shared_groups(found),
            "near_copies": _near_copies(found, head),
            "ledger_lines": self.ledger.num_lines,
            "config": member.model_dump(mode="json"),
            **(more or {}),
        }
        (output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        return report


def fingerprint(member: Labelled) -> str:
    """Return a digest of what a labelled set would read now."""
    return member.fingerprint()


class _Dropped:
    """Drops examples, each with its reason on the ledger."""

    def __init__(self, source: str, head: Head, ledger: Ledger):
        self.source, self.head, self.ledger = source, head, ledger
        self.reasons: Counter[str] = Counter()
        self.num_mended = 0
        self.num_with_unknown: Counter[str] = Counter()
        """By split, the examples that are kept though they ask for a label that train does not have, among others."""

    def told(self) -> str:
        """Return the reasons with their counts, for an error."""
        return ", ".join(f"{n} for: {reason}" for reason, n in self.reasons.most_common()) or "none"

    def drop(self, reason: str, example: Example, copy_of: str | None = None) -> None:
        """Count and write down one example, and the id of the one that it is a copy of."""
        self.reasons[reason] += 1
        content = json.dumps(dict(example.fields), ensure_ascii=False, default=repr)
        document = Document(encodable(example.id), encodable(content), self.source)
        self.ledger.dropped("collect", reason, document, copy_of=copy_of, file=example.file, line=example.line)

    def unreadable_and_unfit(self, examples: Iterable[Example | Unreadable]) -> list[Example]:
        """Return the examples that are in the head's shape, in valid Unicode."""
        kept = []
        for each in examples:
            if isinstance(each, Unreadable):
                self.reasons[each.reason] += each.num_examples
                self.ledger.unreadable(each)
                continue
            try:
                fields = self.head.checked(each.fields)
            except ValueError as error:
                self.drop(str(error), each)
                continue
            classes = self.head.classes(fields)
            if classes != tuple(map(encodable, classes)):
                self.drop("label is not valid Unicode", each)  # mended, two labels could become one
                continue
            group = each.group and encodable(each.group)
            valid = replace(each, id=encodable(each.id), fields=encodable(fields), group=group)
            self.num_mended += (valid.id, valid.fields, valid.group) != (each.id, fields, each.group)
            kept.append(valid)
        return kept

    def conflicting_copies(self, examples: list[Example]) -> list[Example]:
        """Return one of each text: the copy that is held out the most, because a test must be unseen.

        Within a split a text may come again with another answer, if the head knows several.
        """
        order = {split: index for index, split in enumerate(reversed(SPLITS))}
        first: dict[bytes, Example] = {}
        answers: dict[tuple[bytes, str], Example] = {}
        kept = []
        for index in sorted(range(len(examples)), key=lambda index: order[str(examples[index].split)]):
            each = examples[index]
            key = Exact().key(self.head.text(each.fields))
            answer = key, json.dumps(self.head.reference(each.fields), sort_keys=True)
            other = first.setdefault(key, each)
            if other.split != each.split:
                self.drop(f"copy of an example in {other.split}", each, other.id)
            elif answer in answers:
                self.drop("copy", each, answers[answer].id)
            elif other is not each and not self.head.several_answers:
                self.drop("copy with another answer", each, other.id)
            else:
                answers[answer] = each
                kept.append(index)
        return [examples[index] for index in sorted(kept)]

    def unlearnable_labels(self, examples: list[Example]) -> list[Example]:
        """Return the examples without those whose one label occurs nowhere else, or not in train.

        A sentence with tags, or an example of several labels, stays: what else it asks for can be answered.
        """
        asked = [self.head.classes(each.fields) for each in examples]
        counts = Counter(label for labels in asked for label in set(labels))
        known = {
            label for each, labels in zip(examples, asked, strict=True) if each.split == "train" for label in labels
        }
        kept = []
        for each, labels in zip(examples, asked, strict=True):
            is_one = labels and isinstance(self.head.reference(each.fields), str)
            if is_one and counts[labels[0]] == 1:
                self.drop("only example of its label", each)
            elif is_one and labels[0] not in known:
                self.drop("label that train does not have", each)
            else:
                self.num_with_unknown[str(each.split)] += not known.issuperset(labels)
                kept.append(each)
        return kept


def _counts_by_label(examples: list[Example], head: Head) -> dict[str, Counter[str]]:
    """Return how many examples of each split ask for each label."""
    counts: dict[str, Counter[str]] = {}
    for each in examples:
        for label in set(head.classes(each.fields)):
            counts.setdefault(label, Counter())[str(each.split)] += 1
    return counts


def _without_one_group(examples: list[Example], name: str, member: Labelled) -> list[Example]:
    """Return the examples that are to be split without their group, where all of them are of one.

    Whole, they would all go to one split, and the others be empty: a file of CoNLL may begin with its one `-DOCSTART-`.
    """
    given = {each.split for each in examples if each.split}
    groups = {each.group or None for each in examples if not each.split}
    if {"validation", "test"} <= given or len(groups) != 1 or groups == {None}:
        return examples
    logger.warning(
        "all %d examples of %s that have no split are of one group, which cannot be parted, so they are split one by "
        "one: near copies may stand on both sides and flatter the scores%s",
        *(sum(not each.split for each in examples), name, f"; {remedy}" if (remedy := _remedy(member)) else ""),
    )
    return [each if each.split else replace(each, group=None) for each in examples]


def _remedy(member: Labelled) -> str:
    """Return what helps a set whose groups cannot be parted, as far as its kind has settings for it."""
    fields = type(member).model_fields
    held_out = ["name validation and test examples of their own"] if "test" in fields else []
    return ", or ".join(
        held_out + (["choose another group_field, or null for none"] if "group_field" in fields else [])
    )


def _with_splits(
    examples: list[Example], member: Labelled, head: Head, seed: int, known: labelled_beside.Held
) -> list[Example]:
    """Return the examples, each with a split; nothing is added to a split that the source gives.

    What has no group goes where its text is `known` to be.
    """
    given = {each.split for each in examples if each.split}
    validation_fraction = 0.0 if "validation" in given else member.validation_fraction
    test_fraction = 0.0 if "test" in given else member.test_fraction

    def split(example: Example) -> str:
        if example.split:
            return example.split
        if not given and not example.group and (place := labelled_beside.place_of(head, example, known)):
            return place[0]
        where = position(example.group or "\n".join(head.texts(example.fields)), seed)
        return split_at(where, validation_fraction, test_fraction)

    return [replace(each, split=split(each)) for each in examples]


def _require_unique_ids(examples: list[Example]) -> None:
    """Raise a ValueError if two examples have one id: by it answers are paired when models are compared."""
    id, count = Counter(each.id for each in examples).most_common(1)[0] if examples else ("", 0)
    if count > 1:
        raise ValueError(f"{count} examples have the id {id!r}, so answers to them would be confused; rename a file")


def _require_splits(
    examples: list[Example], member: Labelled, given: Collection[str | None], dropped: _Dropped
) -> None:
    """Raise a ValueError if a split is empty: where a few groups were dealt out, it is for want of groups."""
    for split in SPLITS:
        if any(each.split == split for each in examples):
            continue
        dealt = [each.group for each in examples if each.split not in given]
        groups = set(dealt)
        if split not in given and dealt and all(dealt) and len(groups) < FEW_GROUPS:
            raise ValueError(
                f"no example is left in {split}: groups stay in one split, and the {len(dealt)} examples come in "
                f"{len(groups)} (dropped: {dropped.told()}); {_remedy(member) or 'add groups'}"
            )
        raise ValueError(
            f"no example is left in {split} (dropped: {dropped.told()}); add examples, or raise its fraction"
        )


def _require_labels(counts: Mapping[str, Any], labels: Sequence[str], dropped: _Dropped) -> None:
    if counts and len(labels) < FEWEST_LABELS:
        raise ValueError(
            f"{len(labels)} labels are left in train where {FEWEST_LABELS} are needed (dropped: {dropped.told()}); "
            "check the label column, or add examples"
        )


def _split_by(split: str, examples: list[Example], member: Labelled) -> str:
    """Return how a split came about; examples without groups were split at random, whatever the settings say."""
    how = member.splits_by(split)
    has_groups = any(each.group for each in examples if each.split == split)
    return "random" if how == "group" and not has_groups else how


def _shared_groups(examples: list[Example]) -> dict[str, int]:
    """Count the groups on both sides of each pair of splits; files that are given may share some."""
    groups = {split: {each.group for each in examples if each.split == split and each.group} for split in SPLITS}
    return {f"{one} and {other}": len(groups[one] & groups[other]) for one, other in combinations(SPLITS, 2)}


def _near_copies(examples: list[Example], head: Head) -> dict[str, int]:
    """Count by held-out split the examples that differ from one of train in case, punctuation or figures alone.

    Copies up to white space are dropped; these stay, since the difference may be what matters.
    """
    letters: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    for each in examples:
        letters[str(each.split)].append(Exact(letters_only=True).key(head.text(each.fields)))
    train = set(letters["train"])
    return {split: sum(each in train for each in letters[split]) for split in SPLITS if split != "train"}


def _write(path: Path, examples: Iterable[Example]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for each in examples:
            row = {"id": each.id, **each.fields, "group": each.group}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
