"""Counts what each step of data preparation lets through, and writes down what it does not."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lm_modules.data.documents import Document, Unreadable

EXCERPT_CHARACTERS = 200
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
    reasons: Counter[str] = field(default_factory=Counter)

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

    def as_dict(self) -> dict[str, Any]:
        """Return the counts. Every document that is missing at the end has a reason."""
        assert self.reasons.total() == self.documents_in - self.documents_out
        return vars(self) | {"reasons": dict(self.reasons.most_common())}


class Ledger:
    """`ledger.jsonl`: one line for each document or line that was dropped."""

    def __init__(self, path: Path):
        self.file = path.open("w", encoding="utf-8")
        self.num_lines = 0

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def dropped(self, step: str, reason: str, document: Document) -> None:
        """Write down a dropped document."""
        self._write(step, reason, document.source, document.text, id=document.id)

    def unreadable(self, line: Unreadable) -> None:
        """Write down lines or a file that could not be read."""
        self._write(
            "read", line.reason, line.source, line.excerpt, file=line.file, line=line.line, last_line=line.last_line
        )

    def _write(self, step: str, reason: str, source: str, excerpt: str, **where: Any) -> None:
        place = {"id": None, "file": None, "line": None, "last_line": None} | where
        row = {"step": step, "reason": reason, "source": source, **place, "excerpt": excerpt[:EXCERPT_CHARACTERS]}
        # ASCII escapes keep lone surrogates, which UTF-8 cannot hold.
        self.file.write(json.dumps(row) + "\n")
        self.num_lines += 1


class Funnel:
    """The counts of every step, together and by source."""

    def __init__(self, steps: list[str], ledger: Ledger):
        self.steps = {step: Count() for step in steps}
        self.by_source: dict[str, dict[str, Count]] = defaultdict(lambda: {step: Count() for step in steps})
        self.seconds: dict[str, float] = dict.fromkeys(steps, 0.0)
        self.ledger = ledger

    def passed(self, step: str, document: Document, after: str) -> None:
        """Count a document that a step let through with the text `after`."""
        for count in (self.steps[step], self.by_source[document.source][step]):
            count.add(document.text, after, None)

    def dropped(self, step: str, document: Document, reason: str) -> None:
        """Count and write down a document that a step dropped."""
        for count in (self.steps[step], self.by_source[document.source][step]):
            count.add(document.text, None, reason)
        self.ledger.dropped(step, reason, document)

    def unreadable(self, line: Unreadable) -> None:
        """Count and write down what could not be read."""
        for count in (self.steps["read"], self.by_source[line.source]["read"]):
            count.add("", None, line.reason)
        self.ledger.unreadable(line)

    def reasons(self) -> Counter[str]:
        """Return how many documents were dropped, by "step: reason"."""
        return Counter(
            {f"{step}: {reason}": n for step, count in self.steps.items() for reason, n in count.reasons.items()}
        )

    def warnings(self) -> list[str]:
        """Return what a person should look at: steps that drop much of a source, and many unreadable lines."""
        found = []
        for source, counts in self.by_source.items():
            read = counts["read"]
            if read.reasons.total() > MOST_UNREADABLE_FRACTION * read.documents_in:
                found.append(
                    f"{read.reasons.total()} of {read.documents_in} of {source} were unreadable; see the ledger"
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
        steps = [{"step": step, **count.as_dict()} for step, count in self.steps.items()]
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
