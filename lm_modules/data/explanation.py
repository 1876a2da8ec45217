"""What every step of a preparation does to one document, for people who ask why it is in the corpus, or is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import takewhile
from pathlib import Path
from typing import Any

from configs.base import nearest
from configs.data_preparation import DataPreparationConfig
from lm_modules.data.corpus import read_corpus
from lm_modules.data.documents import SPLITS, Document, Unreadable, with_valid_unicode
from lm_modules.data.personal import excerpt, masked, shown_place
from lm_modules.data.steps import Steps

MOST_CHANGED_LINES, MOST_COMPARED_LINES = 20, 500
MOST_CHARACTERS = 160
CHARACTERS_BEFORE_A_CHANGE = 40
MOST_CLOSE, CLOSE_CHARACTERS = 1000, 6


def explain(config: DataPreparationConfig, seed: int, document: str, corpus: Path) -> list[str]:
    """Return what each step does to the document of this id, a line each, also what the later ones would do.

    `corpus` is the finished one, which knows the copies, and what decontamination found. No personal data is shown. The
    name of the source and "/" may stand before the id, and `file:line` is what could not be read there. An id that no
    source has, or several have, is a ValueError.
    """
    found = _found(config, document)
    if isinstance(found, Unreadable):
        return [f"{document} of {found.source} could not be read: {found.reason}"]
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


def _found(config: DataPreparationConfig, document: str) -> Document | Unreadable:
    found: dict[str, Document | Unreadable] = {}
    close: list[str] = []
    for source in config.sources:
        for each in source.documents():
            names = _names(each)
            if document in names:
                found.setdefault(each.source, each)
            elif len(close) < MOST_CLOSE and any(name.startswith(document[:CLOSE_CHARACTERS]) for name in names):
                close.append(names[0])
    if len(found) > 1:
        names_with_source = ", ".join(f"{source}/{document}" for source in found)
        raise ValueError(f"several sources have a document {document!r}; say which: {names_with_source}")
    if not found:
        hint = nearest(document, close) if close else "; ids are in the ledger and in the corpus"
        raise ValueError(f"no source has a document {document!r}{hint}")
    return next(iter(found.values()))


def _names(each: Document | Unreadable) -> tuple[str, ...]:
    """Return how a document, or a line that could not be read, may be called."""
    if isinstance(each, Document):
        return each.id, f"{each.source}/{each.id}"
    place = each.file if each.line is None else f"{each.file}:{each.line}"
    return place, f"{Path(each.file).name}{place.removeprefix(each.file)}", f"{each.source}/{place}"


def _loss(document: Document, corpus: Path) -> str:
    """Return what dropped the document, as the ledger has it, or nothing."""
    for row in _ledger(corpus):
        if row["id"] == shown_place(document.id) and row["source"] == document.source:
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
    """Return the lines that differ, from shortly before where they do, and how many are not shown."""
    old, new = before.split("\n"), after.split("\n")
    start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    follows = max(len(old), len(new)) - start > MOST_COMPARED_LINES
    # to compare takes time by the square of what is compared
    old, new = old[start : start + MOST_COMPARED_LINES], new[start : start + MOST_COMPARED_LINES]
    changed = []
    for kind, start, end, other_start, other_end in SequenceMatcher(None, old, new).get_opcodes():
        if kind != "equal":
            gone, come = old[start:end], new[other_start:other_end]
            both = zip(gone[0], come[0], strict=False) if gone and come else ()
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], both))
            skipped = max(same - CHARACTERS_BEFORE_A_CHANGE, 0)
            changed += [
                f"    {sign}{'...' if skipped and not number else ''}{_shown(line[0 if number else skipped :])}"
                for sign, lines in (("-", gone), ("+", come))
                for number, line in enumerate(lines)
            ]
    more = len(changed) - MOST_CHANGED_LINES
    rest = ["    ... and perhaps more in the lines that follow"] if follows else []
    return changed[:MOST_CHANGED_LINES] + ([f"    ... and {more} lines more"] if more > 0 else []) + rest


def _shown(text: str) -> str:
    """Return the beginning of a text in one line, with what does not show written out."""
    return repr(excerpt(text, MOST_CHARACTERS)) + ("..." if len(text) > MOST_CHARACTERS else "")
