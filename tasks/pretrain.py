"""Tokens to a checkpoint of our engine."""

from __future__ import annotations

from pathlib import Path

from configs.pretraining import PretrainingConfig
from tasks import progress, tracking
from tasks.artifacts import Checkpoint, Tokenizer, Tokens
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated
from tasks.spool import MetricSpool


@cached_task(
    "lm_modules.model",
    "lm_modules.objectives",
    "lm_modules.data.batches",
    "lm_modules.data.packed",
    "lm_modules.data.packing",
    "lm_modules.training.pretraining",
    "lm_modules.training.optimizers",
    "lm_modules.training.schedules",
    "lm_modules.training.trainer",
    "lm_modules.training.checkpoints",
    "lm_modules.training.callbacks",
    "tasks.pretrain",
)
def pretrain(config: PretrainingConfig, tokens: Tokens, tokenizer: Tokenizer, seed: int, run_id: str) -> Checkpoint:
    """Train, or continue from the newest valid checkpoint of the same work, and file the last checkpoint."""
    with (
        own_work_directory() as directory,
        MetricSpool(run_id) as spool,
        progress.bar("pretraining") as bar,
    ):
        tracking.set_tags(run_id, {"rootstock.work_directory": str(directory)})

        def report(step: int, values: dict[str, float]) -> bool:
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
            },
            name="pretraining",
            report=report,
            threads=config.compute.threads,
            log=directory / "log.txt",
        )
        return Checkpoint.file(
            Path(result.pop("checkpoint")),
            run_id=run_id,
            name="checkpoint",
            parents=[tokens, tokenizer],
            facts=result,
        )
