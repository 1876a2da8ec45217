"""Does the learning rate survive a change of width? A picture, numbers and a verdict before anything is trained."""

from __future__ import annotations

from prefect import flow

from configs.pipeline import PipelineConfig
from flows.data_preparation import data_preparation
from lm_modules.training.coordinate_lines import refuse_impossible
from tasks.artifacts import CoordinateCheck
from tasks.check_coordinates import check_coordinates
from tasks.stage import stage

WIDTHS = (64, 128, 256, 512)
STEPS = 4


@flow(name="coordinate_check", flow_run_name="{config.name}", persist_result=True, result_serializer="json")
def coordinate_check(config: PipelineConfig, widths: tuple[int, ...] = WIDTHS, steps: int = STEPS) -> CoordinateCheck:
    """Measure activations and gradients over the width, under the configured parametrization and beside the others.

    Args:
        config: The pipeline; its section pretraining is used, on the text that it prepares or reuses.
        widths: Widths of the models that are measured; multiples of model.head_width.
        steps: Optimizer steps between the two measurements.
    """
    if config.pretraining is None:
        raise ValueError("this configuration has no pretraining section; add one, or extend a preset that has")
    refuse_impossible(widths, steps, config.pretraining.model.head_width)
    prepared = data_preparation(config)
    assert prepared.tokens is not None
    assert prepared.tokenizer is not None
    with stage("coordinate_check", config) as check:
        prepared.tokens.used_by(check.run_id, "train")
        checked = check_coordinates(
            config.pretraining,
            prepared.tokens,
            prepared.tokenizer,
            config.seed,
            widths=widths,
            steps=steps,
            run_id=check.run_id,
        )
        check.file(checked, checked.figures())
        return checked
