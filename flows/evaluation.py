"""Figures on examples and text that no model has seen, beside baselines."""

from __future__ import annotations

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from configs.pipeline import PipelineConfig
from flows.data_preparation import data_preparation
from flows.finetuning import finetuning
from flows.pretraining import pretraining
from tasks.artifacts import Evaluation, Finetuned, PreparedData, Pretrained
from tasks.collect_examples import collect_examples, fingerprint_examples
from tasks.evaluate import evaluate
from tasks.finetune import finetune
from tasks.measure_likelihood import measure_likelihood
from tasks.stage import stage


@flow(
    name="evaluation",
    flow_run_name="{config.name}",
    persist_result=True,
    result_serializer="json",
    task_runner=ThreadPoolTaskRunner(max_workers=2),
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
    with stage("evaluate", config, within) as judge:
        run_id = judge.run_id
        likelihood = None
        models, data, other_models, other_data = {}, None, {}, None
        if tuned and config.finetuning:
            settings = tuned.settings(config.finetuning)
            data = tuned.data
            scratch = finetune.with_options(name="finetune_random_weights").submit(
                settings, tuned.base, data, config.seed, from_random_weights=True, run_id=run_id
            )
            other = settings.data.split_otherwise() if config.evaluation.also_split_by else None
            if other:
                other_data = collect_examples(other, fingerprint_examples(other), config.seed, run_id=run_id)
                moved = finetune.with_options(name="finetune_other_split").submit(
                    settings, tuned.base, other_data, config.seed, run_id=run_id
                )
                other_models = {"tuned": moved}
            models = {"random_weights": scratch, "tuned": tuned.model}
        if pretrained and prepared and config.evaluation.language_model:
            likelihood = measure_likelihood(
                config.evaluation.language_model, pretrained.model, prepared.corpus, run_id=run_id
            )
        evaluated = evaluate(
            config.evaluation, data, models, other_data, other_models, likelihood, config.seed, run_id=run_id
        )
        judge.file(evaluated, evaluated.figures())
        return evaluated
