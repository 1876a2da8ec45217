"""Tokens to a language model that stock `transformers` opens."""

from __future__ import annotations

from prefect import flow

from configs.pipeline import PipelineConfig
from flows.data_preparation import data_preparation
from tasks.artifacts import PreparedData, Pretrained
from tasks.export import export
from tasks.import_base import import_base
from tasks.pretrain import pretrain
from tasks.stage import stage
from tasks.write_samples import write_samples


@flow(name="pretraining", flow_run_name="{config.name}", persist_result=True, result_serializer="json")
def pretraining(config: PipelineConfig, prepared: PreparedData | None = None, within: str | None = None) -> Pretrained:
    """Train the model from random weights or from a base, export it, check the export, let it write.

    Args:
        config: The pipeline; its section pretraining is used.
        prepared: What data_preparation handed on; empty prepares first, or reuses what is prepared already.
        within: MLflow run of the pipeline that this belongs to; leave it empty.
    """
    if config.pretraining is None:
        raise ValueError("this configuration has no pretraining section; add one, or extend a preset that has")
    prepared = prepared or data_preparation(config, within)
    assert prepared.tokens is not None
    assert prepared.tokenizer is not None
    with stage("pretrain", config, within) as train:
        prepared.tokens.used_by(train.run_id, "train", "validation")
        name = config.pretraining.base
        base = import_base(name, train.run_id, "pretraining.base") if name else None
        checkpoint = pretrain(
            config.pretraining,
            prepared.tokens,
            prepared.tokenizer,
            base,
            config.seed,
            experiment=config.name,
            run_id=train.run_id,
        )
        model = export(checkpoint, prepared.tokenizer, run_id=train.run_id)
        samples = None
        if config.pretraining.objective.continues_text:  # others do not continue a text
            samples = write_samples(model, prepared.corpus, config.seed, run_id=train.run_id)
        pretrained = Pretrained(checkpoint=checkpoint, model=model, samples=samples)
        train.file(pretrained, pretrained.figures())
        return pretrained
