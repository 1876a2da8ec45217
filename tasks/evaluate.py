"""Models side by side on the same held-out examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configs.evaluation import EvaluationConfig
from lm_modules.heads import Head
from tasks.artifacts import Evaluation, LabelledData, Model
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated


@cached_task("lm_modules.evaluation.evaluate")
def evaluate(
    config: EvaluationConfig,
    head: Head | None,
    data: LabelledData | None,
    models: dict[str, Model],
    other_data: LabelledData | None,
    other_models: dict[str, Model],
    language_model: dict[str, Any] | None,
    seed: int,
    run_id: str,
) -> Evaluation:
    """Score all models and the head's baselines on the test split, and again on a second split where there is one."""
    baselines = dict.fromkeys(head.baselines) if head else {}
    with own_work_directory() as directory:
        found = run_isolated(
            "lm_modules.evaluation.evaluate:evaluate",
            {
                "config": config,
                "data": data.local() if data else None,
                "models": _directories(baselines, models),
                "other_data": other_data.local() if other_data else None,
                "other_models": _directories(baselines, other_models),
                "language_model": language_model,
                "output": directory / "evaluation",
                "seed": seed,
            },
            name="the evaluation",
            log=directory / "log.txt",
        )
        sets = [each for each in (data, other_data) if each]
        return Evaluation.file(
            directory / "evaluation",
            run_id=run_id,
            name="evaluation",
            parents=[*sets, *models.values(), *other_models.values()],
            facts=found,
        )


def _directories(baselines: Mapping[str, None], models: dict[str, Model]) -> dict[str, Any]:
    """Return the directory of each model; baselines, which are computed from the data alone, have none."""
    return {**baselines, **{name: model.local() for name, model in models.items()}} if models else {}
