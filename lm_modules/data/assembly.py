"""The corpus out of its finished parts: files put in their places, counts added up, splits that are empty filled."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.copies import CLUSTERS
from lm_modules.data.corpus import file_of_split, move_to_split, sum_of_sizes, total
from lm_modules.data.decontamination import ContaminationCounts, Index
from lm_modules.data.documents import SPLITS
from lm_modules.data.funnel import Funnel
from lm_modules.data.lengths import Lengths
from lm_modules.data.part_work import CONTAMINATED, LEDGER, SAMPLES, STATS
from lm_modules.data.parts import part_directory
from lm_modules.data.personal import masked
from lm_modules.data.samples import Samples
from lm_modules.data.split import NearestTrain
from lm_modules.data.steps import deduplication_names, step_names
from lm_modules.disk import remove

Sizes = dict[str, dict[int, dict[str, Any]]]
"""By split and number of the file."""


class Assembly:
    """Puts the corpus together. The folders of the passes hold a directory for each part, those of the last its splits.

    `verdicts` are the folders that `find_copies` wrote, one for each group of deduplications.
    """

    def __init__(
        self,
        config: DataPreparationConfig,
        seed: int,
        output: Path,
        folders: list[Path],
        verdicts: list[Path],
        num_parts: int,
    ):
        self.config, self.output = config, output
        self.folders, self.verdicts, self.num_parts = folders, verdicts, num_parts
        self.funnel, self.lengths, self.nearest_train = Funnel(step_names(config)), Lengths(), NearestTrain(seed)
        self.sizes: Sizes = {split: {} for split in SPLITS}
        self.ledger_lines = 0

    def write(self, index: Index | None) -> dict[str, Any]:
        """Write the corpus with its ledger and samples, and return what is to be reported of it.

        No document left, or too few to fill the splits, is a ValueError that names what dropped them.
        """
        remove(self.output)
        self.output.mkdir(parents=True)
        self._add_up()
        _concatenate(self._files(LEDGER), self.output / LEDGER)
        if self.config.decontamination and self.config.decontamination.mode == "drop":
            _concatenate(self._files(CONTAMINATED), self.output / CONTAMINATED)
        Samples.merged(self._files(SAMPLES)).save(self.output / SAMPLES)
        warnings = self.funnel.warnings() + self._fill_empty_splits()
        by_split = {
            split: sum_of_sizes([files[number] for number in sorted(files)]) for split, files in self.sizes.items()
        }
        languages = self.lengths.languages()
        return {
            "sha256": hashlib.sha256("".join(by_split[split]["sha256"] for split in SPLITS).encode()).hexdigest(),
            "documents": total(by_split, "documents"),
            "characters": total(by_split, "characters"),
            "bytes": total(by_split, "bytes"),
            "splits": by_split,
            **self.funnel.as_dict(),
            "lengths": {unit: self.lengths.percentiles(unit) for unit in ("characters", "words")},
            "languages": languages,
            "not_judged": self._not_judged(languages),
            "clusters": self._clusters(),
            "contamination": self._contamination(index),
            "warnings": warnings,
            "ledger_lines": self.ledger_lines,
        }

    def _add_up(self) -> None:
        for folder in self.folders:
            for _, stats in self._stats(folder):
                self.funnel.merge(stats["counts"], stats["seconds"])
                self.ledger_lines += stats["ledger_lines"]
        for number, stats in self._stats(self.folders[-1]):
            self.nearest_train.merge({key: (place, name) for key, (place, name) in stats["nearest_train"].items()})
            self.lengths.merge(stats["lengths"])
            self._take_files(part_directory(self.folders[-1], number), number, stats["splits"])

    def _clusters(self) -> dict[str, Any]:
        """Return what `find_copies` saw, by the name of the step."""
        names = deduplication_names(self.config)
        found: dict[str, Any] = {}
        for verdict, group in zip(self.verdicts, self.config.deduplication_groups(), strict=True):
            reports = json.loads((verdict / CLUSTERS).read_text())
            found |= {names[group[int(number)]]: each for number, each in reports.items()}
        return found

    def _not_judged(self, languages: Iterable[str]) -> list[str]:
        """Return what filters leave out for the languages that were found."""
        found = ((rule.kind, name, rule.cannot_judge(name)) for rule in self.config.filters for name in languages)
        return [f"{kind}, {name}: {why}" for kind, name, why in found if why]

    def _contamination(self, index: Index | None) -> dict[str, Any]:
        """Return how many texts of each evaluation set stand in documents."""
        if index is None:
            return {}
        counts = ContaminationCounts()
        for _, stats in self._stats(self.folders[0]):
            counts.update(ContaminationCounts.of(stats["contamination"]))
        return counts.report(index)

    def _stats(self, folder: Path) -> Iterable[tuple[int, dict[str, Any]]]:
        for number in range(self.num_parts):
            yield number, json.loads((part_directory(folder, number) / STATS).read_text())

    def _files(self, name: str) -> list[Path]:
        return [part_directory(folder, number) / name for folder in self.folders for number in range(self.num_parts)]

    def _take_files(self, part: Path, number: int, written: dict[str, Any]) -> None:
        """Copy the files of a part that hold documents to their places; the first part gives one to every split."""
        for split in SPLITS:
            target = file_of_split(self.output, split, number)
            target.parent.mkdir(exist_ok=True)
            if written[split]["documents"]:
                shutil.copyfile(part / f"{split}.parquet", target)
                self.sizes[split][number] = written[split]

    def _fill_empty_splits(self) -> list[str]:
        """Give a split that the hash left empty the nearest documents of train, and return warnings that say so."""
        dropped = ", ".join(f"{n} by {reason}" for reason, n in self.funnel.reasons().most_common()) or "none"
        num_documents = sum(each["documents"] for files in self.sizes.values() for each in files.values())
        if not num_documents:
            raise ValueError(f"no document is left (dropped: {dropped}); loosen the filters, or add text")
        fractions = {"validation": self.config.split.validation_fraction, "test": self.config.split.test_fraction}
        warnings = []
        for split in [name for name, fraction in fractions.items() if fraction and not self.sizes[name]]:
            if len(self.nearest_train.names) < 2:
                raise ValueError(
                    f"{num_documents} document{' is' if num_documents == 1 else 's are'} too few for the splits, or "
                    f"too few groups that must not be parted (dropped: {dropped}): nothing is left for {split}; add "
                    "text, or cut it into more documents or groups (text files by a smaller document_characters of the "
                    "source)"
                )
            key = next(iter(self.nearest_train.names))
            _, name = self.nearest_train.names.pop(key)
            move_to_split(self.output, split, key, self.sizes)
            warnings.append(
                f"so few documents that {split} would have been empty; {masked(name)!r} was moved there from train"
            )
        if not sum(each["documents"] for each in self.sizes["train"].values()):
            raise ValueError(f"no document is left to train on (dropped: {dropped}); add text")
        return warnings


def _concatenate(files: Iterable[Path], target: Path) -> None:
    with target.open("wb") as whole:
        for each in files:
            with each.open("rb") as file:
                shutil.copyfileobj(file, whole)
