"""Whether the tuned model takes the place of the champion."""

from __future__ import annotations

from prefect import flow

from configs.evaluation import EvaluationConfig
from configs.pipeline import PipelineConfig
from flows.data_preparation import data_preparation
from flows.evaluation import evaluation
from flows.finetuning import finetuning
from flows.pretraining import pretraining
from tasks.artifacts import Evaluation, Finetuned, Verdict
from tasks.promote import promote
from tasks.stage import stage


@flow(name="promotion", flow_run_name="{config.name}", persist_result=True, result_serializer="json")
def promotion(
    config: PipelineConfig,
    tuned: Finetuned | None = None,
    evaluated: Evaluation | None = None,
    within: str | None = None,
) -> Verdict:
    """Register the tuned model and move `@champion` to it only if it has proved better.

    Args:
        config: The pipeline; its section promotion is used.
        tuned: What finetuning handed on; empty tunes first, or reuses what is tuned already.
        evaluated: What evaluation handed on; empty evaluates first, or reuses what is evaluated already.
        within: MLflow run of the pipeline that this belongs to; leave it empty.
    """
    if config.promotion is None:
        raise ValueError("this configuration has no promotion section; add one, or extend a preset that has")
    evaluation_settings = config.evaluation or EvaluationConfig()
    if tuned is None or evaluated is None:
        prepared = data_preparation(config, within) if config.data_preparation else None
        pretrained = pretraining(config, prepared, within) if config.pretraining else None
        tuned = tuned or finetuning(config, pretrained, within)
        evaluated = evaluated or evaluation(config, tuned, pretrained, prepared, within)
    with stage("promote", config, within) as decide:
        verdict = promote(
            config.promotion,
            evaluation_settings.bootstrap_replicates,
            tuned,
            evaluated,
            config.seed,
            run_id=decide.run_id,
        )
        decide.file(verdict, verdict.figures())
        return verdict
