"""A few texts from a new language model, for people to read."""

from __future__ import annotations

from tasks.artifacts import Corpus, Model, Samples
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated


@cached_task("lm_modules.serving.samples")
def write_samples(model: Model, corpus: Corpus, seed: int, run_id: str) -> Samples:
    """Let the model continue the beginnings of a few held-out documents and file the texts."""
    with own_work_directory() as directory:
        texts = run_isolated(
            "lm_modules.serving.samples:write",
            {"model": model.local(), "corpus": corpus.local(), "output": directory / "samples", "seed": seed},
            name="the writing of samples",
            log=directory / "log.txt",
        )
        return Samples.file(
            directory / "samples",
            run_id=run_id,
            name="samples",
            parents=[model, corpus],
            facts={"num_texts": len(texts)},
        )
