"""How well a language model predicts text that it has not seen."""

from __future__ import annotations

from typing import Any

from configs.evaluation import LanguageModelEvaluationConfig
from tasks.artifacts import Corpus, Model
from tasks.caching import cached_task
from tasks.processes import num_cores, run_isolated


@cached_task("lm_modules.evaluation.evaluate")
def score_language_model(
    config: LanguageModelEvaluationConfig, model: Model, corpus: Corpus, run_id: str
) -> dict[str, Any]:
    """Return bits per byte on the test split, beside those of `xz -9` on the same text."""
    return run_isolated(
        "lm_modules.evaluation.evaluate:judge_language_model",
        {"config": config, "directory": model.local(), "corpus": corpus.local()},
        name="the scoring of the language model",
        threads=max(1, num_cores() // 2),  # a baseline is trained beside it
    )
