"""Raw text to a corpus: read, clean, filter, deduplicate, split; with an account of everything that was dropped.

    sources -> parts -> clean, filter        one part at a time, side by side                   read_part
                            |
                         copies              over all parts, from files                         find_copies
                            |
                         without copies      one part at a time -> train/ validation/ test/     finish_part
                            \\-> ledger.jsonl (one line a dropped document), report.json, samples.jsonl

Every part that is finished stays finished when the process is killed (`parts.py`). The result depends neither on the
number of processes nor on the order in which parts are done.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Iterable, Mapping, Set
from importlib.metadata import version
from pathlib import Path
from typing import Any

from configs.data_preparation import DataPreparationConfig
from configs.decontamination import DecontaminationConfig
from lm_modules.data.copies import CLUSTERS, find_copies
from lm_modules.data.corpus import file_of_split, move_to_split, sum_of_sizes, total
from lm_modules.data.decontamination import ContaminationCounts, Index
from lm_modules.data.documents import SPLITS, Example
from lm_modules.data.funnel import Funnel
from lm_modules.data.labelled_examples import read_examples
from lm_modules.data.lengths import Lengths
from lm_modules.data.part_work import LEDGER, SAMPLES, STATS, Rules, Work, apply_part, finish_part, read_part
from lm_modules.data.parts import for_each_part, part_directory
from lm_modules.data.samples import Samples
from lm_modules.data.sources import Source
from lm_modules.data.split import NearestTrain
from lm_modules.data.steps import free_name, step_names
from lm_modules.progress import Report, keep_going

MEGABYTE = 1 << 20


def prepare(
    config: DataPreparationConfig,
    output: Path,
    seed: int,
    report: Report = keep_going,
    evaluation: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Write the corpus directory and return its report (`report.json`, and the seconds that it took).

    `evaluation` names directories of labelled examples, whose held-out texts decontamination looks for.
    `report(number of documents read, {})` is called now and then; if it answers true, an InterruptedError ends it. What
    was finished lies beside `output` until all is done, and the next call with the same arguments goes on there.
    No document left, or too few to fill the splits, is a ValueError that names what dropped them.
    """
    started = time.perf_counter()
    preparation = _Preparation(config, Path(output), seed, report, evaluation or {})
    folders = preparation.passes()
    found = preparation.assembled(folders)
    shutil.rmtree(preparation.folder)
    # Not in the files, so that equal corpora have equal digests.
    seconds = {step: round(each, 3) for step, each in preparation.funnel.seconds.items()}
    return found | {"seconds": round(time.perf_counter() - started, 2), "seconds_by_step": seconds}


def fingerprint(config: DataPreparationConfig) -> str:
    """Return a digest of the settings and of the sources' content: equal ones give equal corpora."""
    return _fingerprint(config, [source.fingerprint() for source in config.sources])


def _fingerprint(config: DataPreparationConfig, sources: list[str]) -> str:
    settings = config.model_dump_json(exclude=set(config.without_effect))
    sets = config.decontamination.sets if config.decontamination else ()
    others = [each.fingerprint() for each in (*config.filters, *sets)]
    return hashlib.sha256(json.dumps([settings, *sources, *others]).encode()).hexdigest()


class _Preparation:
    """The passes over the parts, and what they came to."""

    def __init__(
        self, config: DataPreparationConfig, output: Path, seed: int, report: Report, evaluation: Mapping[str, Path]
    ):
        self.config, self.output, self.seed, self.report = config, output, seed, report
        self.sources = [source.fingerprint() for source in config.sources]
        self.fingerprint = _fingerprint(config, self.sources)
        self.funnel = Funnel(step_names(config))
        texts = evaluation_texts(config.decontamination, evaluation) if config.decontamination else {}
        self.folder = _own_folder(output, f"{self.fingerprint} {seed} {_digest(texts)}")
        part_bytes = int(config.part_megabytes * MEGABYTE)
        self.parts = [(n, part) for n, source in enumerate(config.sources) for part in source.parts(part_bytes)]
        self.index = Index.of(texts, config.decontamination) if config.decontamination else None
        if self.index:
            self.index.save(self.folder / "evaluation")
        self.work = Work(config, seed, self.folder / "evaluation" if self.index else None)

    def passes(self) -> list[Path]:
        """Read all parts and take the copies out; return the folders of all passes."""
        groups = self.config.deduplication_groups()
        names = self.funnel.names[len(self.funnel.names) - len(self.config.deduplication) :]
        folders = [self.folder / "read"]
        self._run(folders[0], read_part, [(self.work, *each, groups[0]) for each in self.parts])
        for group, later in zip(groups, [*groups[1:], None], strict=True):
            before = [part_directory(folders[-1], number) for number in range(len(self.parts))]
            verdict = self.folder / f"copies {len(folders)}"
            find_copies([self.config.deduplication[number] for number in group], before, verdict)
            rules = Rules(tuple(names[number] for number in group), group)
            arguments = [
                (part, part_directory(verdict, number), rules, self.work) for number, part in enumerate(before)
            ]
            folders.append(self.folder / f"without {len(folders)}")
            if later is None:
                self._run(folders[-1], finish_part, arguments)
            else:
                self._run(folders[-1], apply_part, [(*each, later) for each in arguments])
        return folders

    def _run(self, folder: Path, work: Any, arguments: list[tuple[Any, ...]]) -> None:
        num_documents: dict[int, int] = {}

        def stop(done: Set[int]) -> bool:
            for number in done - num_documents.keys():
                num_documents[number] = json.loads((part_directory(folder, number) / STATS).read_text())["documents"]
            return self.report(sum(num_documents.values()), {})

        for_each_part(self.config.engine, folder, work, arguments, stop)

    def assembled(self, folders: list[Path]) -> dict[str, Any]:
        """Put the corpus together from the parts, and return its report."""
        shutil.rmtree(self.output, ignore_errors=True)
        self.output.mkdir(parents=True)
        nearest_train, lengths = NearestTrain(self.seed), Lengths()
        sizes: dict[str, dict[int, dict[str, Any]]] = {split: {} for split in SPLITS}
        num_lines = 0
        for folder in folders:
            for _, stats in self._stats(folder):
                self.funnel.merge(stats["counts"], stats["seconds"])
                num_lines += stats["ledger_lines"]
        for number, stats in self._stats(folders[-1]):
            nearest_train.merge({key: (place, name) for key, (place, name) in stats["nearest_train"].items()})
            lengths.merge(stats["lengths"])
            self._take_files(part_directory(folders[-1], number), number, stats["splits"], sizes)
        _concatenate(self._files(folders, LEDGER), self.output / LEDGER)
        Samples.merged(self._files(folders, SAMPLES)).save(self.output / SAMPLES)
        warnings = self.funnel.warnings() + self._fill_empty_splits(nearest_train, sizes)
        by_split = {split: sum_of_sizes([sizes[split][number] for number in sorted(sizes[split])]) for split in SPLITS}
        found = {
            "fingerprint": self.fingerprint,
            "sha256": hashlib.sha256("".join(by_split[split]["sha256"] for split in SPLITS).encode()).hexdigest(),
            "seed": self.seed,
            "documents": total(by_split, "documents"),
            "characters": total(by_split, "characters"),
            "bytes": total(by_split, "bytes"),
            "splits": by_split,
            **self.funnel.as_dict(),
            "lengths": {unit: lengths.percentiles(unit) for unit in ("characters", "words")},
            "languages": lengths.languages(),
            "not_judged": self._not_judged(lengths.languages()),
            "clusters": self._clusters(),
            "contamination": self._contamination(folders[0]),
            "provenance": [_provenance(*each) for each in zip(self.config.sources, self.sources, strict=True)],
            "warnings": warnings,
            "ledger_lines": num_lines,
            "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
            "versions": {name: version(name) for name in ("ftfy", "pyarrow", "pydantic", "py3langid", "stopwordsiso")},
            "config": self.config.model_dump(mode="json", exclude=set(self.config.without_effect)),
        }
        (self.output / "report.json").write_text(json.dumps(found, indent=2) + "\n")
        return found

    def _clusters(self) -> dict[str, Any]:
        """Return what `find_copies` saw, by the name of the step."""
        names = self.funnel.names[len(self.funnel.names) - len(self.config.deduplication) :]
        found: dict[str, Any] = {}
        for place, group in enumerate(self.config.deduplication_groups(), start=1):
            reports = json.loads((self.folder / f"copies {place}" / CLUSTERS).read_text())
            found |= {names[group[int(number)]]: each for number, each in reports.items()}
        return found

    def _not_judged(self, languages: Iterable[str]) -> list[str]:
        """Return what filters leave out for the languages that were found."""
        found = ((rule.kind, name, rule.cannot_judge(name)) for rule in self.config.filters for name in languages)
        return [f"{kind}, {name}: {why}" for kind, name, why in found if why]

    def _contamination(self, folder: Path) -> dict[str, Any]:
        """Return how many texts of each evaluation set stand in documents."""
        if self.index is None:
            return {}
        counts = ContaminationCounts()
        for _, stats in self._stats(folder):
            counts.update(ContaminationCounts.of(stats["contamination"]))
        return counts.report(self.index)

    def _stats(self, folder: Path) -> Iterable[tuple[int, dict[str, Any]]]:
        for number in range(len(self.parts)):
            yield number, json.loads((part_directory(folder, number) / STATS).read_text())

    def _files(self, folders: list[Path], name: str) -> list[Path]:
        return [part_directory(folder, number) / name for folder in folders for number in range(len(self.parts))]

    def _take_files(
        self, part: Path, number: int, written: dict[str, Any], sizes: dict[str, dict[int, dict[str, Any]]]
    ) -> None:
        """Copy the files of a part that hold documents to their places; the first part gives one to every split."""
        for split in SPLITS:
            target = file_of_split(self.output, split, number)
            target.parent.mkdir(exist_ok=True)
            if written[split]["documents"]:
                shutil.copyfile(part / f"{split}.parquet", target)
                sizes[split][number] = written[split]

    def _fill_empty_splits(self, nearest_train: NearestTrain, sizes: dict[str, dict[int, dict[str, Any]]]) -> list[str]:
        """Give a split that the hash left empty the nearest documents of train, and return warnings that say so."""
        dropped = ", ".join(f"{n} by {reason}" for reason, n in self.funnel.reasons().most_common()) or "none"
        num_documents = sum(each["documents"] for files in sizes.values() for each in files.values())
        if not num_documents:
            raise ValueError(f"no document is left (dropped: {dropped}); loosen the filters, or add text")
        fractions = {"validation": self.config.split.validation_fraction, "test": self.config.split.test_fraction}
        warnings = []
        for split in [name for name, fraction in fractions.items() if fraction and not sizes[name]]:
            if len(nearest_train.names) < 2:
                raise ValueError(
                    f"{num_documents} document{' is' if num_documents == 1 else 's are'} too few for the splits, or "
                    f"too few groups that must not be parted (dropped: {dropped}): nothing is left for {split}; add "
                    "text, or cut it into more documents or groups (text files by a smaller document_characters of the "
                    "source)"
                )
            key = next(iter(nearest_train.names))
            _, name = nearest_train.names.pop(key)
            move_to_split(self.output, split, key, sizes)
            warnings.append(f"so few documents that {split} would have been empty; {name!r} was moved there from train")
        if not sum(each["documents"] for each in sizes["train"].values()):
            raise ValueError(f"no document is left to train on (dropped: {dropped}); add text")
        return warnings


def evaluation_texts(settings: DecontaminationConfig, evaluation: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the texts of each evaluation set: what is held out of labelled directories, and all of `settings.sets`."""
    texts = {
        name: [each.text for split in ("validation", "test") for each in read_examples(directory, split)]
        for name, directory in evaluation.items()
    }
    for each in settings.sets:
        texts[free_name(each.kind, texts)] = [found.text for found in each.examples() if isinstance(found, Example)]
    return texts


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _provenance(source: Source, fingerprint: str) -> dict[str, Any]:
    """Return where the documents of a source come from."""
    return {
        "name": ", ".join(source.names()),
        "kind": source.kind,
        "origin": source.origin,
        "licence": source.licence,
        "fingerprint": fingerprint,
    }


def _own_folder(output: Path, identity: str) -> Path:
    """Return the folder of unfinished work beside `output`, emptied if it is of other work."""
    folder = output.with_name(f"{output.name}.parts")
    mark = folder / "identity"
    if not mark.exists() or mark.read_text() != identity:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        mark.write_text(identity)
    return folder


def _concatenate(files: Iterable[Path], target: Path) -> None:
    with target.open("wb") as whole:
        for each in files:
            with each.open("rb") as file:
                shutil.copyfileobj(file, whole)
