"""A checkpoint of our engine to a stock Hugging Face model."""

from __future__ import annotations

from tasks.artifacts import Checkpoint, Model, Tokenizer
from tasks.caching import cached_task, own_work_directory
from tasks.logged_models import Service
from tasks.processes import run_isolated

SERVICES: dict[str, Service] = {
    "text-generation": "language_model",
    "fill-mask": "fill_mask",
    "text2text-generation": "text_to_text",
    "token-classification": "token_labels",
}
"""How a model answers, by what it does."""


@cached_task("lm_modules.export.export", *(f"lm_modules.serving.{each}_service" for each in SERVICES.values()))
def export(checkpoint: Checkpoint, tokenizer: Tokenizer, run_id: str) -> Model:
    """Fold the weights into an unmodified architecture, check it against the training graph, log it."""
    with own_work_directory() as directory:
        check = run_isolated(
            "lm_modules.export.export:export",
            {
                "checkpoint": checkpoint.local(),
                "tokenizer": tokenizer.local(),
                "output": directory / "model",
            },
            name="the export",
            log=directory / "log.txt",
        )
        return Model.log(
            directory / "model",
            run_id=run_id,
            name="language_model",
            service=SERVICES[check["task"]],
            parents=[checkpoint, tokenizer],
            facts=check,
        )
