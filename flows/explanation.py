"""Why is this document in the corpus, or why is it not?"""

from __future__ import annotations

from prefect import flow

from configs.pipeline import PipelineConfig
from flows.data_preparation import data_preparation
from tasks.explain import Explanation, explain


@flow(name="explanation", flow_run_name="{config.name}", persist_result=False)
def explanation(config: PipelineConfig, document: str) -> Explanation:
    """Tell what every step of the preparation does to one document; that is told, and kept nowhere.

    Args:
        config: The pipeline; its corpus is prepared, or reused.
        document: The id of the document, as the ledger and the corpus have it.
    """
    prepared = data_preparation(config)
    assert config.data_preparation is not None
    return explain(config.data_preparation, config.seed, document, prepared.corpus)
