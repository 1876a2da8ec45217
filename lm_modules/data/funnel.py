"""Counts what each step of data preparation lets through, and writes down what it does not."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.personal import EXCERPT_CHARACTERS, excerpt, shown_place

MOST_DROPPED_FRACTION = 0.3
MOST_UNREADABLE_FRACTION = 0.01


@dataclass
class Count:
    """Documents and characters that came in and went out."""

    documents_in: int = 0
    documents_out: int = 0
    characters_in: int = 0
    characters_out: int = 0
    modified: int = 0
    files_lost: int = 0
    """Files of which nothing, or not the rest, could be read; each counts as one document that came in."""
    reasons: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    """What was taken out of texts and replaced by a word for its kind."""

    def add(self, before: str, after: str | None, reason: str | None) -> None:
        """Count one document; `after` is None when it was dropped."""
        self.documents_in += 1
        self.characters_in += len(before)
        if after is None:
            self.reasons[str(reason)] += 1
        else:
            self.documents_out += 1
            self.characters_out += len(after)
            self.modified += before != after

    def merge(self, other: Mapping[str, Any]) -> None:
        """Add what `as_dict` gave of another count."""
        for name, value in other.items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
            else:
                getattr(self, name).update(value)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts. Every document that is missing at the end has a reason."""
        assert self.reasons.total() == self.documents_in - self.documents_out
        return vars(self) | {"reasons": _sorted(self.reasons), "replaced": _sorted(self.replaced)}


class Ledger:
    """`ledger.jsonl`: one line for each document or line that was dropped."""

    def __init__(self, path: Path):
        self.file = path.open("w", encoding="utf-8")
        self.num_lines = 0

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def dropped(
        self,
        step: str,
        reason: str,
        document: Document,
        *,
        copy_of: str | None = None,
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        """Write down a dropped document with its place, and the one that is kept in its place if it is a copy."""
        where: dict[str, Any] = {"id": shown_place(document.id), "file": file and shown_place(file), "line": line}
        where |= {"copy_of": shown_place(copy_of)} if copy_of else {}
        self._write(step, reason, document.source, document.text, **where)

    def unreadable(self, line: Unreadable) -> None:
        """Write down lines or a file that could not be read."""
        where = {"file": shown_place(line.file), "line": line.line, "last_line": line.last_line}
        self._write("read", line.reason, line.source, line.excerpt, **where)

    def _write(self, step: str, reason: str, source: str, text: str, **where: Any) -> None:
        place = {"id": None, "file": None, "line": None, "last_line": None} | where
        row = {"step": step, "reason": reason, "source": source, **place, "excerpt": excerpt(text, EXCERPT_CHARACTERS)}
        # ASCII escapes keep lone surrogates, which UTF-8 cannot hold.
        self.file.write(json.dumps(row) + "\n")
        self.num_lines += 1


class Funnel:
    """The counts of every step, by source; those of several parts can be added up."""

    def __init__(self, steps: Iterable[str]):
        self.names = list(steps)
        self.by_source: dict[str, dict[str, Count]] = defaultdict(lambda: {step: Count() for step in self.names})
        self.seconds: dict[str, float] = dict.fromkeys(self.names, 0.0)

    def passed(self, step: str, document: Document, after: str) -> None:
        """Count a document that a step let through with the text `after`."""
        self.by_source[document.source][step].add(document.text, after, None)

    def replaced(self, step: str, document: Document, counts: Mapping[str, int]) -> None:
        """Count what a step replaced in a document."""
        self.by_source[document.source][step].replaced.update(counts)

    def dropped(self, step: str, document: Document, reason: str) -> None:
        """Count a document that a step dropped."""
        self.by_source[document.source][step].add(document.text, None, reason)

    def unreadable(self, line: Unreadable) -> None:
        """Count what could not be read."""
        count = self.by_source[line.source][self.names[0]]
        count.add("", None, line.reason)
        count.files_lost += line.line is None

    def merge(self, counts: Mapping[str, Mapping[str, Any]], seconds: Mapping[str, float]) -> None:
        """Add the counts (`counts()` of another funnel, which may have some of the steps alone) and seconds."""
        for source, steps in counts.items():
            for step, count in steps.items():
                self.by_source[source][step].merge(count)
        for step, number in seconds.items():
            self.seconds[step] += number

    def counts(self) -> dict[str, dict[str, Any]]:
        """Return the counts by source and step, for JSON."""
        return {
            source: {step: count.as_dict() for step, count in steps.items()} for source, steps in self.by_source.items()
        }

    def steps(self) -> dict[str, Count]:
        """Return the counts of every step over all sources."""
        total = {step: Count() for step in self.names}
        for counts in self.by_source.values():
            for step, count in counts.items():
                total[step].merge(count.as_dict())
        return total

    def reasons(self) -> Counter[str]:
        """Return how many documents were dropped, by "step: reason"."""
        return Counter(
            {f"{step}: {reason}": n for step, count in self.steps().items() for reason, n in count.reasons.items()}
        )

    def warnings(self) -> list[str]:
        """Return what a person should look at: steps that drop much of a source, and many unreadable lines."""
        found = []
        for source, counts in sorted(self.by_source.items()):
            read = counts["read"]
            if read.files_lost:
                found.append(
                    f"{read.files_lost} files of {source} could not be read, or not to their end; see the ledger"
                )
            if read.reasons.total() > MOST_UNREADABLE_FRACTION * read.documents_in:
                found.append(
                    f"{read.reasons.total()} of {read.documents_in} of {source} could not be read or hold no text; "
                    "see the ledger"
                )
            for step, count in counts.items():
                if step != "read" and (dropped := count.reasons.total()) > MOST_DROPPED_FRACTION * count.documents_in:
                    share = dropped / count.documents_in
                    found.append(
                        f"{step} dropped {share:.0%} of {source} ({dropped} of {count.documents_in}); "
                        "if that is not wanted, loosen it, or (a filter) name other sources in its `sources`"
                    )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the steps in order, and for each source its ends and reasons."""
        steps = [{"step": step, **count.as_dict()} for step, count in self.steps().items()]
        return {"steps": steps, "sources": {name: _ends(counts) for name, counts in sorted(self.by_source.items())}}


def _ends(counts: dict[str, Count]) -> dict[str, Any]:
    first, *_, last = counts.values()
    reasons = {f"{step}: {reason}": n for step, count in counts.items() for reason, n in count.reasons.items()}
    assert sum(reasons.values()) == first.documents_in - last.documents_out
    return {
        "documents_in": first.documents_in,
        "documents_out": last.documents_out,
        "characters_in": first.characters_in,
        "characters_out": last.characters_out,
        "reasons": reasons,
    }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    """Return the counts, the largest first and equal ones by name, whatever order they were counted in."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
