"""A pretrained model and labelled examples to the best model that a sweep finds."""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from pkgutil import iter_modules

import lm_modules.serving
from configs.finetuning import FinetuningConfig
from configs.pipeline import PipelineConfig
from configs.yaml_files import read_value
from tasks import filing, registry
from tasks.artifacts import Finetuned, LabelledData, Model
from tasks.caching import cached_task, content_key, work_directory
from tasks.stage import RESULT
from tasks.sweep_plots import figures
from tasks.trial import Finetuning
from tasks.trial_pool import PooledFinetuning, limit_of
from tasks.tune import sweep

logger = logging.getLogger(__name__)

CONFIG = "config.yaml"
TRAINING = ("lm_modules.training.finetuning",)
SERVING = tuple(
    f"lm_modules.serving.{each.name}" for each in iter_modules(lm_modules.serving.__path__) if each.name != "__main__"
)
"""Models are registered with how they answer, which `training` does not import."""
CODE = (*TRAINING, *SERVING)
"""What a fine-tuning computes with, and how its model answers."""
SWEEP = ("tasks.tune", "tasks.study", "tasks.search", "tasks.sweep_result", "tasks.trial", "tasks.trial_pool")


@cached_task(*CODE, *SWEEP, retries=0)
def tune_model(
    config: FinetuningConfig,
    base: Model,
    data: LabelledData,
    seed: int,
    experiment: str,
    run_id: str,
    registered_name: str | None = None,
) -> Finetuned:
    """Run or continue the sweep, and log the best trial's model (not a retrained copy).

    With `config.tuning.warm_start` it begins with the settings of the champion of `registered_name`.
    """
    with work_directory(_study_key(config, base, data, seed)) as directory:
        tuning, trials = config.tuning, _trials(config, base, data, seed, experiment, run_id)
        if tuning.work_pool:
            tuning = tuning.model_copy(update={"parallel": limit_of(tuning.work_pool) or tuning.parallel})
        found = sweep(
            config,
            tuning,
            study_name=directory.name,
            directory=directory,
            seed=seed,
            submit=trials.submit,
            before=_champions_settings(registered_name) if config.tuning.warm_start else (),
            kin=_kin(config, base),
        )
        filing.log_table(run_id, found.table(), "trials.json")
        for file, figure in figures(found).items():
            filing.log_figure(run_id, figure, file)
        best = found.best
        assert best is not None
        assert best.model is not None
        filing.log_preview(run_id, (directory / best.model).parent)
        facts = {"trial": best.number, found.metric: best.value, **best.values}
        model = Model.log(
            directory / best.model,
            run_id=run_id,
            name="tuned",
            service=config.head.service,
            parents=[base, data],
            facts=facts,
        )
        return Finetuned(model=model, data=data, base=base, values=best.values, sweep=found)


def _trials(
    config: FinetuningConfig, base: Model, data: LabelledData, seed: int, experiment: str, run_id: str
) -> Finetuning | PooledFinetuning:
    """Return what starts trials: here, or on the workers of a pool."""
    if config.tuning.work_pool:
        return PooledFinetuning(config, base, data, seed, experiment, run_id)
    return Finetuning(config=config, base=base.local(), data=data.local(), experiment=experiment, parent=run_id)


def _champions_settings(registered_name: str | None) -> list[FinetuningConfig]:
    """Return the settings of the champion, found by its sweep or fixed, if there is one that a sweep has found."""
    champion = registry.champion(registered_name) if registered_name else None
    result = filing.read_text(champion.run_id, RESULT) if champion else None
    config = filing.read_text(champion.run_id, CONFIG) if champion else None
    if not result or not config:
        return []
    try:
        tuned = Finetuned.model_validate_json(result)
        finetuning = PipelineConfig.model_validate(read_value(config, CONFIG)).finetuning
    except ValueError:
        logger.warning(
            "the settings of the champion of %s are not tried first: they are of another version of Rootstock",
            registered_name,
        )
        return []
    assert finetuning is not None
    return [tuned.settings(finetuning)]


def _kin(config: FinetuningConfig, base: Model) -> str:
    """Return what studies have in common that search for the best by the same metric for one head on one base."""
    shared = [config.head.model_dump_json(), base.digest, config.tuning.metric]
    return sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()


def _study_key(config: FinetuningConfig, base: Model, data: LabelledData, seed: int) -> str:
    """Return what a study is known by: all that changes a trial's result, but not how many trials are to be run."""
    inputs = {"config": config.without_budget(), "base": base, "data": data, "seed": seed}
    return content_key("sweep", {**inputs, "direction": config.tuning.direction}, TRAINING)
