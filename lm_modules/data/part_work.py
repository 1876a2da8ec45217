"""The two things that are done to a part of a corpus, each a function from files to files.

    read_part    source -> clean, filter -> documents.parquet                   and what finds copies, sketches/
    apply_part   documents.parquet, the verdict on its copies -> documents.parquet, or at the end the three splits

Both write ledger.jsonl (a line for each document dropped) and stats.json beside it; memory holds a few documents, and
the sketches of a part.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.copies import DOCUMENTS, PartVerdict, SketchWriter
from lm_modules.data.corpus import DocumentWriter, SplitWriter, read_documents
from lm_modules.data.decontamination import Index
from lm_modules.data.documents import SPLITS, Document, Unreadable, with_valid_unicode
from lm_modules.data.funnel import Funnel, Ledger
from lm_modules.data.lengths import Lengths
from lm_modules.data.parts import written
from lm_modules.data.personal import masked
from lm_modules.data.samples import Samples
from lm_modules.data.split import NearestTrain
from lm_modules.data.steps import Steps

LEDGER, STATS, SAMPLES = "ledger.jsonl", "stats.json", "samples.jsonl"
CONTAMINATED = "contaminated.jsonl"
"""The documents that decontamination dropped, whole but for personal data."""


@dataclass(frozen=True)
class Work:
    """What every part needs to know; it goes to other processes, so it is small."""

    config: DataPreparationConfig
    seed: int
    evaluation: Path | None = None
    """Where the index of the evaluation texts lies."""


@dataclass
class _Account:
    """The counts of one part, and its ledger."""

    funnel: Funnel
    ledger: Ledger
    samples: Samples = field(default_factory=Samples)
    contaminated: list[str] = field(default_factory=list)

    def dropped(self, step: str, document: Document, reason: str, *, copy_of: str | None = None) -> None:
        self.funnel.dropped(step, document, reason)
        self.ledger.dropped(step, reason, document, copy_of=copy_of)
        self.samples.add(step, reason, document)
        if step == "decontamination":
            row = {"id": document.id, "source": document.source, "reason": reason, "text": masked(document.text)}
            self.contaminated.append(f"{json.dumps(row)}\n")

    def save(self, directory: Path, **more: Any) -> None:
        self.samples.save(directory / SAMPLES)
        (directory / CONTAMINATED).write_text("".join(self.contaminated))
        content = {"counts": self.funnel.counts(), "seconds": self.funnel.seconds, **more}
        (directory / STATS).write_text(json.dumps(content | {"ledger_lines": self.ledger.num_lines}) + "\n")


def read_part(directory: Path, work: Work, source_number: int, part: Any, looked_for: Sequence[int]) -> None:
    """Read a part of a source, clean and filter it, and sketch it for the deduplications numbered `looked_for`."""
    source = work.config.sources[source_number]
    steps = Steps(work.config, work.seed, Index.load(work.evaluation) if work.evaluation else None)
    with written(directory) as folder, Ledger(folder / LEDGER) as ledger:
        account = _Account(Funnel(["read", *steps.acts]), ledger)
        kept = _kept(source.documents(part), steps, account)
        num_kept = _write_documents(folder, kept, work.config, looked_for)
        account.save(folder, documents=num_kept, contamination=steps.contamination.as_dict())


def _kept(found: Iterator[Document | Unreadable], steps: Steps, account: _Account) -> Iterator[Document]:
    for read in found:
        if isinstance(read, Unreadable):
            account.funnel.unreadable(read)
            account.ledger.unreadable(read)
            continue
        document = with_valid_unicode(read)
        if not document.text.strip():
            account.dropped("read", document, "empty")
            continue
        account.funnel.passed("read", read, document.text)
        for step, seconds, before, outcome in steps.outcomes(document):
            account.funnel.seconds[step] += seconds
            if outcome.reason:
                account.dropped(step, before, outcome.reason)
                break
            account.funnel.passed(step, before, outcome.document.text)
            if outcome.replaced:
                account.funnel.replaced(step, before, outcome.replaced)
            document = outcome.document
        else:
            yield replace(document, split=steps.split_of(document))


@dataclass(frozen=True)
class Rules:
    """The ways of deduplication that a pass applies: their names in the funnel, and their places in the settings."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]


def apply_part(
    directory: Path, before: Path, verdict: Path, rules: Rules, work: Work, looked_for: Sequence[int]
) -> None:
    """Take the copies out of a part that its verdict names; sketch the rest for the rules that come next."""
    with written(directory) as folder, Ledger(folder / LEDGER) as ledger:
        account = _Account(Funnel(rules.names), ledger)
        kept = _without_copies(before, verdict, rules, work, account)
        account.save(folder, documents=_write_documents(folder, kept, work.config, looked_for))


def finish_part(directory: Path, before: Path, verdict: Path, rules: Rules, work: Work) -> None:
    """Take the copies out of a part that its verdict names, and write what is left as the three splits."""
    nearest_train, lengths = NearestTrain(work.seed), Lengths()
    with written(directory) as folder, Ledger(folder / LEDGER) as ledger:
        account = _Account(Funnel(rules.names), ledger)
        writers = {split: SplitWriter(folder / f"{split}.parquet") for split in SPLITS}
        for document in _without_copies(before, verdict, rules, work, account):
            lengths.add(document)
            nearest_train.add(document)
            writers[str(document.split)].write(document)
        sizes = {split: writer.close() for split, writer in writers.items()}
        account.save(
            folder,
            documents=sum(each["documents"] for each in sizes.values()),
            splits=sizes,
            nearest_train=nearest_train.names,
            lengths=lengths.as_dict(),
        )


def _without_copies(before: Path, verdict: Path, rules: Rules, work: Work, account: _Account) -> Iterator[Document]:
    applied = [work.config.deduplication[number] for number in rules.numbers]
    found = PartVerdict(applied, before, verdict)
    for row, document in enumerate(read_documents(before / DOCUMENTS)):
        for number, step in enumerate(rules.names):
            copy_of = found.copy_of(number, row)
            if copy_of is not None:
                account.dropped(step, document, "copy of an earlier document", copy_of=copy_of)
                break
            text = found.without_passages(number, row, document.text)
            if not text.strip():
                account.dropped(step, document, "nothing but copied passages")
                break
            account.funnel.passed(step, document, text)
            document = replace(document, text=text)
        else:
            yield document


def _write_documents(
    folder: Path, documents: Iterator[Document], config: DataPreparationConfig, looked_for: Sequence[int]
) -> int:
    writer = DocumentWriter(folder / DOCUMENTS)
    sketches = SketchWriter([config.deduplication[number] for number in looked_for])
    for document in documents:
        writer.write(document)
        sketches.add(document.text)
    sketches.save(folder)
    return writer.close()["documents"]
