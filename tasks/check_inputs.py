"""Whether the files that a configuration names are there and hold what it asks for, told before hours are spent."""

from __future__ import annotations

from configs.pipeline import PipelineConfig


def check_inputs(config: PipelineConfig, stage: str) -> None:
    """Raise a ValueError that names the first missing file, column or field; at most the first rows are read.

    The labels are looked at whichever stage begins, because those before fine-tuning are the long ones.
    """
    if config.finetuning:
        tuning = config.finetuning
        tuning.data.check((*tuning.head.inputs, tuning.head.target))
        for name, other in tuning.beside.items():
            try:
                other.data.check((*other.head.inputs, other.head.target))
            except ValueError as error:
                raise ValueError(f"finetuning.beside.{name}.data: {error}") from error
    # the stage finetune reads no text: with a base from elsewhere it begins, and the text may be gone
    if config.data_preparation and stage != "finetune":
        for source in config.data_preparation.sources:
            source.check()
        for rule in config.data_preparation.filters:
            rule.check()
