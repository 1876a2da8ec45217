"""What every step of a preparation does to one document, for people who ask why it is in the corpus, or is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from typing import Any

from configs.base import nearest
from configs.data_preparation import DataPreparationConfig
from lm_modules.data.corpus import read_corpus
from lm_modules.data.documents import SPLITS, Document, Unreadable, with_valid_unicode
from lm_modules.data.personal import excerpt, masked
from lm_modules.data.steps import Steps

MOST_CHANGED_LINES = 20
MOST_CHARACTERS = 160


def explain(config: DataPreparationConfig, seed: int, document: str, corpus: Path) -> list[str]:
    """Return what each step does to the document of this id, a line each, also what the later ones would do.

    `corpus` is the finished one, which knows the copies, and what decontamination found. No personal data is shown. An
    id that no source has is a ValueError.
    """
    found = _found(config, document)
    text = with_valid_unicode(found)
    lines = [f"{document} of {found.source}: {len(text.text):,} characters, read as {_shown(text.text)}"]
    steps = Steps(config, seed)
    loss = _loss(found, corpus)
    is_dropped = False
    for step, act in steps.acts.items():
        if step == "decontamination":  # by itself it lacks the evaluation texts; what they did is in the ledger
            if loss.startswith(f"{step} drops"):
                return [*lines, loss]
            lines.append(f"{step} {'was not asked, as it was dropped before' if is_dropped else 'keeps it as it is'}")
            continue
        outcome = act(text)
        would = "would drop" if is_dropped else "drops"
        if outcome.reason:
            lines.append(f"{step} {would} it: {outcome.reason}")
            is_dropped = True
        elif outcome.document.text != text.text:
            counts = "".join(f", {number} {name}" for name, number in (outcome.replaced or {}).items())
            changes = _changes(masked(text.text), masked(outcome.document.text))
            lines += [f"{step} rewrites it{counts}{':' if changes else ''}", *changes]
        elif outcome.document != text:
            lines.append(f"{step} finds {outcome.document.language}")
        else:
            lines.append(f"{step} keeps it as it is")
        text = replace(outcome.document)
    if is_dropped:
        return lines
    return [*lines, loss] if loss else [*lines, *_split(found, corpus)]


def _found(config: DataPreparationConfig, document: str) -> Document:
    close: list[str] = []
    for source in config.sources:
        for each in source.documents():
            if isinstance(each, Unreadable):
                continue
            if each.id == document:
                return each
            if len(close) < 1000 and document[:10] == each.id[:10]:
                close.append(each.id)
    hint = nearest(document, close) if close else "; ids are in the ledger and in the corpus"
    raise ValueError(f"no source has a document {document!r}{hint}")


def _loss(document: Document, corpus: Path) -> str:
    """Return what dropped the document, as the ledger has it, or nothing."""
    for row in _ledger(corpus):
        if row["id"] == document.id and row["source"] == document.source:
            of = f" ({row['copy_of']})" if "copy_of" in row else ""
            return f"{row['step']} drops it: {row['reason']}{of}"
    return ""


def _split(document: Document, corpus: Path) -> Iterator[str]:
    for split in SPLITS:
        for each in read_corpus(corpus, split):
            if each.id == document.id and each.source == document.source:
                yield f"It is in {split}, as {len(each.text):,} characters."
                return


def _ledger(corpus: Path) -> Iterator[dict[str, Any]]:
    with (corpus / "ledger.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _changes(before: str, after: str) -> list[str]:
    """Return the lines that differ, with the sign of a patch, and how many are not shown."""
    diff = list(unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm=""))[2:]
    changed = [f"    {line[0]}{_shown(line[1:])}" for line in diff if not line.startswith("@@")]
    more = len(changed) - MOST_CHANGED_LINES
    return changed[:MOST_CHANGED_LINES] + ([f"    ... and {more} lines more"] if more > 0 else [])


def _shown(text: str) -> str:
    """Return the beginning of a text in one line, with what does not show written out."""
    return repr(excerpt(text, MOST_CHARACTERS)) + ("..." if len(text) > MOST_CHARACTERS else "")
