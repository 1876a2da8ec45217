"""Tokens to a checkpoint of our engine."""

from __future__ import annotations

import logging
import math
from pathlib import Path

from configs.pretraining import PretrainingConfig
from lm_modules.progress import NOTICE, Values
from tasks import filing, progress, tracking
from tasks.artifacts import Checkpoint, Model, Tokenizer, Tokens, utilization
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated
from tasks.spool import MetricSpool

logger = logging.getLogger(__name__)


@cached_task("lm_modules.training.pretraining")
def pretrain(
    config: PretrainingConfig,
    tokens: Tokens,
    tokenizer: Tokenizer,
    base: Model | None,
    seed: int,
    experiment: str,
    run_id: str,
) -> Checkpoint:
    """Train, or continue from the newest valid checkpoint of the same work, and file the last checkpoint.

    A new training begins with the weights of `base`, or with random ones.

    The curves go to an MLflow run of their own under `run_id`, which belongs to this work alone: a training on other
    text never continues the curve of this one.
    """
    with (
        own_work_directory() as directory,
        tracking.open_run("pretraining", experiment=experiment, key=directory.name, parent=run_id) as run,
        MetricSpool(run.id) as spool,
        progress.bar("pretraining") as bar,
    ):
        if base is not None:
            config = _with_shape_of(base, config, directory / "log.txt")
        filing.log_config(run.id, config)
        tracking.set_tags(run.id, {"rootstock.work_directory": str(directory)})

        def report(step: int, values: Values) -> bool:
            spool.log(step, values)
            return bar.report(step, values)

        result = run_isolated(
            "lm_modules.training.pretraining:pretrain",
            {
                "config": config,
                "tokens": tokens.local(),
                "tokenizer": tokenizer.local(),
                "workdir": directory,
                "seed": seed,
                "base": base and base.local(),
            },
            name="pretraining",
            report=report,
            threads=config.compute.threads,
            log=directory / "log.txt",
            grace_seconds=math.inf,  # a step and its checkpoint may take minutes; a second Ctrl-C ends at once
        )
        if splits := tokens.facts.get("splits"):
            result["passes_over_the_text"] = result["tokens_seen"] / splits["train"]["num_tokens"]
        if words := utilization(result):
            logger.log(NOTICE, words)
        return Checkpoint.file(
            Path(result.pop("checkpoint")),
            run_id=run.id,
            name="checkpoint",
            parents=[tokens, tokenizer] if base is None else [tokens, tokenizer, base],
            facts=result,
        )


def _with_shape_of(base: Model, config: PretrainingConfig, log: Path) -> PretrainingConfig:
    """Return the settings as they will be trained with: what the base decides is filled in."""
    settings = run_isolated(
        "lm_modules.training.continuation:resolved_settings",
        {"config": config, "base": base.local()},
        name="the reading of the base",
        log=log,
    )
    return PretrainingConfig.model_validate(settings)
