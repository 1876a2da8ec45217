"""Raw text to a corpus, a tokenizer and tokens."""

from __future__ import annotations

from prefect import flow

from configs.pipeline import PipelineConfig
from tasks.artifacts import PreparedData
from tasks.check_base import check_base
from tasks.collect import collect
from tasks.collect_examples import labelled_data
from tasks.describe import describe
from tasks.fingerprint import fingerprint
from tasks.import_base import import_base
from tasks.pack import pack
from tasks.stage import stage
from tasks.train_tokenizer import train_tokenizer


@flow(name="data_preparation", flow_run_name="{config.name}", persist_result=True, result_serializer="json")
def data_preparation(config: PipelineConfig, within: str | None = None) -> PreparedData:
    """Read, clean, filter, deduplicate and split the sources; train the tokenizer or take one over; pack the tokens.

    Args:
        config: The pipeline; its sections data_preparation and tokenization are used.
        within: MLflow run of the pipeline that this belongs to; leave it empty.
    """
    if config.data_preparation is None:
        raise ValueError("this configuration has no data_preparation section; add one, or extend a preset that has")
    with stage("prepare", config, within) as prepare:
        base = None
        if config.tokenizer_base:  # before the long work, so that one that is not there is told at once
            base = import_base(config.tokenizer_base, prepare.run_id, "tokenization.tokenizer.base", False)
        held_out = None
        if config.data_preparation.decontamination and config.finetuning:
            held_out = labelled_data(config.finetuning, config.seed, prepare.run_id)
        if config.pretraining and config.pretraining.base:
            model = import_base(config.pretraining.base, prepare.run_id, "pretraining.base")
            check_base(config.pretraining, model)
        content = fingerprint(config.data_preparation)
        corpus = collect(config.data_preparation, content, config.seed, held_out, run_id=prepare.run_id)
        tokenizer = tokens = None
        if config.tokenization:
            tokenizer = train_tokenizer(config.tokenization, corpus, base, run_id=prepare.run_id)
            engine = config.data_preparation.engine
            tokens = pack(config.tokenization, corpus, tokenizer, engine, run_id=prepare.run_id)
        describe(corpus, tokens, run_id=prepare.run_id)
        prepared = PreparedData(corpus=corpus, tokenizer=tokenizer, tokens=tokens, run_id=prepare.run_id)
        prepare.file(prepared, prepared.figures())
        return prepared
