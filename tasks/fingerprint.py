"""What the sources hold now."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.data_preparation import DataPreparationConfig
from tasks.caching import is_no_mistake
from tasks.processes import run_isolated


@task(cache_policy=NO_CACHE, persist_result=False, retries=1, retry_condition_fn=is_no_mistake)
def fingerprint(config: DataPreparationConfig) -> str:
    """Return the digest of all that the sources would read, so that changed files are noticed on every run."""
    return run_isolated(
        "lm_modules.data.preparation:fingerprint", {"config": config}, name="the fingerprint of the sources"
    )
