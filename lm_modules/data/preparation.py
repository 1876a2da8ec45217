"""Raw text to a corpus: read, clean, filter, deduplicate, split; with an account of everything that was dropped.

    sources -> parts -> clean, filter        one part at a time, side by side                   read_part
                            |
                         copies              over all parts, from files                         find_copies
                            |
                         without copies      one part at a time                                 finish_part
                            |
                         corpus              train/ validation/ test/, ledger, report           assembly.py

Every part that is finished stays finished when the process is killed (`parts.py`). The result depends neither on the
number of processes nor on the order in which parts are done.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Mapping, Set
from importlib.metadata import version
from pathlib import Path
from typing import Any

from configs.data_preparation import DataPreparationConfig
from configs.decontamination import DecontaminationConfig
from lm_modules.data.assembly import Assembly
from lm_modules.data.copies import find_copies
from lm_modules.data.decontamination import Index
from lm_modules.data.documents import Example
from lm_modules.data.labelled_examples import read_examples, read_head
from lm_modules.data.part_work import STATS, Rules, Work, apply_part, finish_part, read_part
from lm_modules.data.parts import for_each_part, part_directory
from lm_modules.data.personal import without_secrets
from lm_modules.data.sources import Source
from lm_modules.data.steps import deduplication_names, free_name
from lm_modules.disk import remove
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
    sources = [source.fingerprint() for source in config.sources]
    texts = evaluation_texts(config.decontamination, evaluation or {}) if config.decontamination else {}
    index = Index.of(texts, config.decontamination) if config.decontamination else None
    identity = _fingerprint(config, sources)
    folder = _own_folder(Path(output), f"{identity} {seed} {_digest(texts)}")
    passes = _Passes(config, folder, seed, report, index)
    passes.run()
    assembly = Assembly(config, seed, Path(output), passes.folders, passes.verdicts, len(passes.parts))
    found = {
        "fingerprint": identity,
        "seed": seed,
        **assembly.write(index),
        "provenance": [_provenance(*each) for each in zip(config.sources, sources, strict=True)],
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": _versions(),
        "config": _without_secrets(config.model_dump(mode="json", exclude=set(config.without_effect))),
    }
    (Path(output) / "report.json").write_text(json.dumps(found, indent=2) + "\n")
    remove(folder)
    # Not in the files, so that equal corpora have equal digests.
    seconds = {step: round(each, 3) for step, each in assembly.funnel.seconds.items()}
    return found | {"seconds": round(time.perf_counter() - started, 2), "seconds_by_step": seconds}


def fingerprint(config: DataPreparationConfig) -> str:
    """Return a digest of the settings and of the sources' content: equal ones give equal corpora."""
    return _fingerprint(config, [source.fingerprint() for source in config.sources])


def _fingerprint(config: DataPreparationConfig, sources: list[str]) -> str:
    settings = config.model_dump_json(exclude=set(config.without_effect))
    sets = config.decontamination.sets if config.decontamination else ()
    others = [each.fingerprint() for each in (*config.filters, *sets)]
    return hashlib.sha256(json.dumps([settings, *sources, *others, _versions()]).encode()).hexdigest()


def _versions() -> dict[str, str]:
    """Return the versions of the libraries that decide what becomes of a text."""
    return {name: version(name) for name in ("ftfy", "pyarrow", "pydantic", "py3langid", "stopwordsiso")}


class _Passes:
    """The passes over the parts: one to read them all, and one after each group of deduplications."""

    def __init__(self, config: DataPreparationConfig, folder: Path, seed: int, report: Report, index: Index | None):
        self.config, self.folder, self.report = config, folder, report
        part_bytes = int(config.part_megabytes * MEGABYTE)
        self.parts = [(n, part) for n, source in enumerate(config.sources) for part in source.parts(part_bytes)]
        if index:
            index.save(folder / "evaluation")
        self.work = Work(config, seed, folder / "evaluation" if index else None)
        self.folders: list[Path] = []
        """Of each pass that was run, with a directory for each part."""
        self.verdicts: list[Path] = []
        """Of what was found to be copies, before each pass but the first."""

    def run(self) -> None:
        """Read all parts, and take the copies out of them."""
        groups, names = self.config.deduplication_groups(), deduplication_names(self.config)
        self._run("read", read_part, [(self.work, *each, groups[0]) for each in self.parts])
        for group, later in zip(groups, [*groups[1:], None], strict=True):
            before = [part_directory(self.folders[-1], number) for number in range(len(self.parts))]
            self.verdicts.append(self.folder / f"copies {len(self.folders)}")
            find_copies([self.config.deduplication[number] for number in group], before, self.verdicts[-1])
            rules = Rules(tuple(names[number] for number in group), group)
            arguments = [
                (part, part_directory(self.verdicts[-1], number), rules, self.work)
                for number, part in enumerate(before)
            ]
            name = f"without {len(self.folders)}"
            if later is None:
                self._run(name, finish_part, arguments)
            else:
                self._run(name, apply_part, [(*each, later) for each in arguments])

    def _run(self, name: str, work: Any, arguments: list[tuple[Any, ...]]) -> None:
        folder, num_documents = self.folder / name, dict[int, int]()

        def stop(done: Set[int]) -> bool:
            for number in done - num_documents.keys():
                num_documents[number] = json.loads((part_directory(folder, number) / STATS).read_text())["documents"]
            return self.report(sum(num_documents.values()), {})

        for_each_part(self.config.engine, folder, work, arguments, stop)
        self.folders.append(folder)


def evaluation_texts(settings: DecontaminationConfig, evaluation: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the texts of each evaluation set: what is held out of labelled directories, and all of `settings.sets`."""
    texts = {}
    for name, directory in evaluation.items():
        head = read_head(directory)
        held_out = [each for split in ("validation", "test") for each in read_examples(directory, split)]
        texts[name] = [head.text(each.fields) for each in held_out]
    for each in settings.sets:
        # a set of questions gives no text, and is looked for by all that it gives in its place
        fields = ["text"] if each.gives is None or "text" in each.gives else each.gives
        others = [field for field in getattr(each, "columns", ()) if field not in fields]
        found = [example.fields for example in each.examples(fields, others) if isinstance(example, Example)]
        parts = [[row[field] for field in fields if isinstance(row.get(field), str)] for row in found]
        texts[free_name(each.kind, texts)] = ["\n".join(some) for some in parts if some]
    return texts


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _provenance(source: Source, fingerprint: str) -> dict[str, Any]:
    """Return where the documents of a source come from."""
    return {
        "name": ", ".join(source.names()),
        "kind": source.kind,
        "origin": _without_secrets(source.origin),
        "licence": source.licence,
        "fingerprint": fingerprint,
    }


def _without_secrets(value: Any) -> Any:
    """Return settings with the URLs among them as people may see them."""
    if isinstance(value, dict):
        return {name: _without_secrets(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    return without_secrets(value) if isinstance(value, str) else value


def _own_folder(output: Path, identity: str) -> Path:
    """Return the folder of unfinished work beside `output`, emptied if it is of other work."""
    folder = output.with_name(f"{output.name}.parts")
    mark = folder / "identity"
    if not mark.exists() or mark.read_text() != identity:
        remove(folder)
        folder.mkdir(parents=True)
        mark.write_text(identity)
    return folder
