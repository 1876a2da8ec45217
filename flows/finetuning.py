"""A language model to one that does a task, by a sweep."""

from __future__ import annotations

import sys
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from configs.pipeline import PipelineConfig
from flows.pretraining import pretraining
from flows.trial import offer_trials
from tasks.artifacts import Finetuned, Pretrained
from tasks.collect_examples import labelled_data
from tasks.import_base import import_base
from tasks.stage import stage
from tasks.tune_model import tune_model

# A thread for each trial: the sweep begins only as many as may run side by side, and the clock of each runs from then.
RUNNER: Any = ThreadPoolTaskRunner(max_workers=sys.maxsize)


@flow(
    name="finetuning",
    flow_run_name="{config.name}",
    persist_result=True,
    result_serializer="json",
    task_runner=RUNNER,
)
def finetuning(config: PipelineConfig, pretrained: Pretrained | None = None, within: str | None = None) -> Finetuned:
    """Collect the labelled examples and search for the settings that suit them best; keep the best trial's model.

    Args:
        config: The pipeline; its section finetuning is used.
        pretrained: What pretraining handed on; empty pretrains first, or reuses it; not needed with finetuning.base.
        within: MLflow run of the pipeline that this belongs to; leave it empty.
    """
    if config.finetuning is None:
        raise ValueError("this configuration has no finetuning section; add one, or extend a preset that has")
    settings = config.finetuning
    if settings.tuning.work_pool:
        offer_trials(settings.tuning.work_pool)
    if settings.base is None:
        pretrained = pretrained or pretraining(config, within=within)
    with stage("finetune", config, within) as tune:
        base = (
            pretrained.model if pretrained and settings.base is None else import_base(str(settings.base), tune.run_id)
        )
        data = labelled_data(settings, config.seed, tune.run_id)
        data.used_by(tune.run_id, "train", "validation")
        name = config.promotion.registered_name if config.promotion else None
        tuned = tune_model(settings, base, data, config.seed, config.name, tune.run_id, registered_name=name)
        tune.file(tuned, tuned.figures())
        return tuned
