"""Whether a training can continue from its base, told by the base's configuration before the text is prepared."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.pretraining import PretrainingConfig
from tasks.artifacts import Model
from tasks.processes import run_isolated


@task(cache_policy=NO_CACHE)
def check_base(config: PretrainingConfig, base: Model) -> None:
    """Raise the ValueError that the training would begin with: that objective, shape or learning rate do not fit."""
    run_isolated(
        "lm_modules.training.continuation:resolved_settings",
        {"config": config, "base": base.local()},
        name="the reading of the base",
    )
