"""Raw text to a corpus."""

from __future__ import annotations

from pathlib import Path

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.labelled_examples import beside
from tasks import progress
from tasks.artifacts import Corpus, LabelledData
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated


@cached_task("lm_modules.data.preparation")
def collect(
    config: DataPreparationConfig, fingerprint: str, seed: int, held_out: LabelledData | None, run_id: str
) -> Corpus:
    """Read the sources, clean, filter, deduplicate and split; file the corpus with its ledger.

    `fingerprint` is that of the sources' content, so that changed files are read again. Texts that `held_out` holds out
    are looked for in what will be trained on.
    """
    with own_work_directory() as directory, progress.bar("reading", unit="document") as bar:
        report = run_isolated(
            "lm_modules.data.preparation:prepare",
            {
                "config": config,
                "output": directory / "corpus",
                "seed": seed,
                "evaluation": _sets(held_out) if held_out else None,
            },
            name="the preparation of the corpus",
            report=bar.report,
            log=directory / "log.txt",
        )
        if report["fingerprint"] != fingerprint:
            raise RuntimeError("a source changed after it was fingerprinted, and is read anew; let it rest meanwhile")
        return Corpus.file(
            directory / "corpus", run_id=run_id, name="corpus", parents=[held_out] if held_out else [], facts=report
        )


def _sets(held_out: LabelledData) -> dict[str, Path]:
    """Return the labelled directories, with those of what is learned beside."""
    directory = held_out.local()
    others = {f"beside.{name}": each for name, each in beside(directory).items()}
    return {held_out.facts["kind"]: directory, **others}
