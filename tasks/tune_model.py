"""A pretrained model and labelled examples to the best model that a sweep finds."""

from __future__ import annotations

from configs.finetuning import FinetuningConfig
from tasks import filing
from tasks.artifacts import Finetuned, LabelledData, Model
from tasks.caching import cached_task, content_key, work_directory
from tasks.sweep_plots import figures
from tasks.trial import Finetuning
from tasks.tune import sweep

CODE = ("lm_modules.training.finetuning", "lm_modules.serving.classifier_service")
"""What a fine-tuning computes with, and how its model answers."""


@cached_task(*CODE, "tasks.tune", "tasks.study", "tasks.search", retries=0)
def tune_model(
    config: FinetuningConfig, base: Model, data: LabelledData, seed: int, experiment: str, run_id: str
) -> Finetuned:
    """Run or continue the sweep, and log the best trial's model (not a retrained copy)."""
    with work_directory(_study_key(config, base, data, seed)) as directory:
        trials = Finetuning(
            config=config, base=base.local(), data=data.local(), seed=seed, experiment=experiment, parent=run_id
        )
        found = sweep(
            config,
            config.tuning,
            study_name=directory.name,
            directory=directory,
            seed=seed,
            submit=trials.submit,
        )
        filing.log_table(run_id, found.table(), "trials.json")
        for file, figure in figures(found).items():
            filing.log_figure(run_id, figure, file)
        best = found.best
        assert best is not None
        assert best.model is not None
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


def _study_key(config: FinetuningConfig, base: Model, data: LabelledData, seed: int) -> str:
    """Return what a study is known by: all that changes a trial's result, but not how many trials are to be run."""
    inputs = {"config": config.without_budget(), "base": base, "data": data, "seed": seed}
    return content_key("sweep", {**inputs, "direction": config.tuning.direction}, CODE)
