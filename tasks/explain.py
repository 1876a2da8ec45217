"""What a preparation does to one document."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from configs.data_preparation import DataPreparationConfig
from tasks.artifacts import Corpus
from tasks.caching import is_no_mistake
from tasks.processes import run_isolated


class Explanation(BaseModel):
    """What every step did to a document."""

    model_config = ConfigDict(frozen=True)

    document: str
    steps: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return what the command line says at the end."""
        return list(self.steps)


@task(cache_policy=NO_CACHE, persist_result=False, retries=1, retry_condition_fn=is_no_mistake)
def explain(config: DataPreparationConfig, seed: int, document: str, corpus: Corpus) -> Explanation:
    """Read the sources until the document is found, and let every step show what it does."""
    steps = run_isolated(
        "lm_modules.data.explanation:explain",
        {"config": config, "seed": seed, "document": document, "corpus": corpus.local()},
        name="the explanation of a document",
    )
    return Explanation(document=document, steps=tuple(steps))
