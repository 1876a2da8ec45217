"""One fine-tuning with all its settings fixed: baselines, and the winner's settings on another split."""

from __future__ import annotations

from pathlib import Path

from configs.finetuning import FinetuningConfig
from lm_modules.progress import Values
from tasks import filing, progress, tracking
from tasks.artifacts import LabelledData, Model
from tasks.caching import cached_task, own_work_directory
from tasks.gpus import gpus_for
from tasks.processes import num_cores, run_isolated
from tasks.spool import MetricSpool
from tasks.tune_model import CODE


@cached_task(*CODE)
def finetune(
    config: FinetuningConfig,
    base: Model,
    data: LabelledData,
    seed: int,
    experiment: str,
    run_id: str,
    title: str,
    from_random_weights: bool = False,
    side_by_side: int = 1,
) -> Model:
    """Train in an MLflow run of its own under `run_id`, and log the model; so many fits share the cores."""
    with (
        own_work_directory() as directory,
        tracking.open_run(
            title, experiment=experiment, key=str(directory.name), parent=run_id, tags={"rootstock.fit": title}
        ) as run,
        MetricSpool(run.id) as spool,
        progress.bar(title) as bar,
        gpus_for(config.compute) as environment,
    ):
        filing.log_config(run.id, config)
        # as in a sweep, the processes of each share its part, and that is not filed
        config = config.with_threads(max(1, num_cores() // (side_by_side * config.compute.devices)))
        data.used_by(run.id, "train", "validation")

        def report(step: int, values: Values) -> bool:
            spool.log(step, values)
            return bar.report(step, values)

        result = run_isolated(
            "lm_modules.training.finetuning:finetune",
            {
                "config": config,
                "base": base.local(),
                "data": data.local(),
                "workdir": directory,
                "seed": seed,
                "from_random_weights": from_random_weights,
            },
            name=title,
            report=report,
            threads=config.compute.threads,
            environment=environment,
            log=directory / "log.txt",
        )
        return Model.log(
            Path(result.pop("model")),
            run_id=run_id,
            name=title.replace(" ", "_"),
            service=config.head.service,
            parents=[data] if from_random_weights else [base, data],
            facts=result,
        )
