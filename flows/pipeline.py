"""The whole road: raw text to a promoted model and its report card."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from configs.pipeline import PipelineConfig
from flows.data_preparation import data_preparation
from flows.evaluation import evaluation
from flows.finetuning import finetuning
from flows.pretraining import pretraining
from flows.promotion import promotion
from tasks.artifacts import ReportCard
from tasks.report import report
from tasks.stage import nothing_was_new, stage


@flow(name="pipeline", flow_run_name="{config.name}", persist_result=True, result_serializer="json")
def pipeline(config: PipelineConfig, say_when_nothing_is_new: bool = False) -> ReportCard | State[ReportCard]:
    """Prepare, pretrain, fine-tune, evaluate, promote, report; a stage without its section is skipped.

    Args:
        config: All settings. Stages whose settings, inputs and code are as they were are not computed again.
        say_when_nothing_is_new: End as Skipped, rather than Completed, where that was so of all stages; for nights.
    """
    with stage("pipeline", config) as whole:
        prepared = pretrained = tuned = evaluated = None
        if config.data_preparation:
            prepared = data_preparation(config, within=whole.run_id)
        if config.pretraining:
            pretrained = pretraining(config, prepared, within=whole.run_id)
        if config.finetuning:
            tuned = finetuning(config, pretrained, within=whole.run_id)
        if config.evaluation:
            evaluated = evaluation(config, tuned, pretrained, prepared, within=whole.run_id)
        if config.promotion:
            promotion(config, tuned, evaluated, within=whole.run_id)
        card = report(whole.run_id)
        if say_when_nothing_is_new and nothing_was_new(whole.run_id):
            words = "There was no new data, setting or code: every stage's result of an earlier run was reused."
            return Completed(name="Skipped", message=words, data=card)
        return card
