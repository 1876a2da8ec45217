"""Raw text to a corpus."""

from __future__ import annotations

from configs.data_preparation import DataPreparationConfig
from tasks import progress
from tasks.artifacts import Corpus
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated


@cached_task("lm_modules.data.preparation")
def collect(config: DataPreparationConfig, fingerprint: str, seed: int, run_id: str) -> Corpus:
    """Read the sources, clean, filter, deduplicate and split; file the corpus with its ledger and data card.

    `fingerprint` is that of the sources' content, so that changed files are read again.
    """
    with own_work_directory() as directory, progress.bar("reading", unit="document") as bar:
        report = run_isolated(
            "lm_modules.data.preparation:prepare",
            {"config": config, "output": directory / "corpus", "seed": seed},
            name="the preparation of the corpus",
            report=bar.report,
            log=directory / "log.txt",
        )
        return Corpus.file(directory / "corpus", run_id=run_id, name="corpus", facts=report)
