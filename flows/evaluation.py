"""Figures on examples and text that no model has seen, beside baselines."""

from __future__ import annotations

from functools import partial
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from configs.pipeline import PipelineConfig
from configs.promotion import UNTUNED
from flows.data_preparation import data_preparation
from flows.finetuning import finetuning
from flows.pretraining import pretraining
from tasks.artifacts import Evaluation, Finetuned, PreparedData, Pretrained
from tasks.collect_examples import labelled_data
from tasks.evaluate import evaluate
from tasks.finetune import finetune
from tasks.processes import children_end_together
from tasks.score_language_model import score_language_model
from tasks.stage import stage

RUNNER: Any = ThreadPoolTaskRunner(max_workers=2)


@flow(
    name="evaluation",
    flow_run_name="{config.name}",
    persist_result=True,
    result_serializer="json",
    task_runner=RUNNER,
)
def evaluation(
    config: PipelineConfig,
    tuned: Finetuned | None = None,
    pretrained: Pretrained | None = None,
    prepared: PreparedData | None = None,
    within: str | None = None,
) -> Evaluation:
    """Score the tuned model, its baselines and the language model on held-out examples and text.

    Args:
        config: The pipeline; its section evaluation is used.
        tuned: What finetuning handed on; empty tunes first, or reuses what is tuned already.
        pretrained: What pretraining handed on; empty pretrains first, or reuses it.
        prepared: What data_preparation handed on; empty prepares first, or reuses it.
        within: MLflow run of the pipeline that this belongs to; leave it empty.
    """
    if config.evaluation is None:
        raise ValueError("this configuration has no evaluation section; add one, or extend a preset that has")
    if config.data_preparation:
        prepared = prepared or data_preparation(config, within)
    if config.pretraining:
        pretrained = pretrained or pretraining(config, prepared, within)
    if config.finetuning:
        tuned = tuned or finetuning(config, pretrained, within)
    with stage("evaluate", config, within) as judge, children_end_together():
        run_id = judge.run_id
        head = data = other_data = None
        likelihood: Any = None
        models: dict[str, Any] = {}
        other_models: dict[str, Any] = {}
        if pretrained and prepared and config.evaluation.language_model:
            prepared.corpus.used_by(run_id, "test")
            likelihood = score_language_model.submit(
                config.evaluation.language_model, pretrained.model, prepared.corpus, run_id=run_id
            )
        if tuned and config.finetuning:
            settings, data = tuned.settings(config.finetuning), tuned.data
            head = settings.head
            data.used_by(run_id, "test")
            other = settings.data.split_otherwise() if config.evaluation.also_split_by else None
            fit = partial(
                finetune.submit,
                settings,
                tuned.base,
                seed=config.seed,
                experiment=config.name,
                run_id=run_id,
                side_by_side=2 if other else 1,
            )
            if head.answers_untuned:
                models[UNTUNED] = tuned.base
            models["random_weights"] = fit(data=data, title="random weights", from_random_weights=True)
            if other:
                other_data = labelled_data(settings, config.seed, run_id, other)
                other_models["tuned"] = fit(data=other_data, title="other split")
            models["tuned"] = tuned.model
        evaluated = evaluate(
            config.evaluation, head, data, models, other_data, other_models, likelihood, config.seed, run_id=run_id
        )
        judge.file(evaluated, evaluated.figures())
        return evaluated
