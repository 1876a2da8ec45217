"""One trial of a sweep: a Prefect task run, an MLflow run under the stage's, and a training in a process of its own.

Each carries the ids of the others, and of the Optuna trial. A trial that is tried again continues in its MLflow run and
from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import State, Task, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from configs.finetuning import FinetuningConfig
from configs.tuning import fixed
from lm_modules.progress import Values, numbers
from tasks import filing, progress, tracking
from tasks.caching import is_no_mistake
from tasks.gpus import gpus_for
from tasks.processes import num_cores, run_isolated
from tasks.spool import MetricSpool
from tasks.tune import Future

if TYPE_CHECKING:
    from tasks.study import Trial

FINETUNE = "lm_modules.training.finetuning:finetune"
"""By name: importing it here would import PyTorch into the flow."""


@dataclass(frozen=True)
class Finetuning:
    """What the trials of a sweep have in common."""

    config: FinetuningConfig
    base: Path
    """The directory of the model that is tuned."""
    data: Path
    """The labelled directory."""
    experiment: str
    """The MLflow experiment."""
    parent: str
    """The MLflow run of the stage."""

    def submit(self, trial: Trial) -> Future:
        """Start a trial on the task runner of the flow."""
        return run_trial.submit(trial.number, trial, self.run)

    def run(self, trial: Trial) -> dict[str, Any]:
        """Train with the trial's values; return what `finetune` returns."""
        with (
            tracking.open_run(
                f"trial-{trial.number}",
                experiment=self.experiment,
                key=f"{trial.study_name}/trial-{trial.first}",
                parent=self.parent,
                tags=_ids(trial),
            ) as run,
            MetricSpool(run.id) as spool,
            progress.bar(f"trial {trial.number}") as bar,
            gpus_for(self.config.compute) as environment,
        ):
            trial.note(mlflow_run_id=run.id)
            if runtime.task_run.id:  # on a worker there is none: there the trial is a flow run
                trial.note(prefect_task_run_id=runtime.task_run.id)
            settings = self._settings(trial)
            filing.file_config(run.id, settings)
            filing.log_params(run.id, trial.values)

            def report(step: int, values: Values) -> bool:
                spool.log(step, values)
                bar.report(step, values)
                return trial.report(step, numbers(values))

            # the trials side by side share the cores, and so do the processes of each; that is not filed
            settings = settings.with_threads(max(1, num_cores() // (self._side_by_side() * settings.compute.devices)))
            result = run_isolated(
                FINETUNE,
                {
                    "config": settings,
                    "base": self.base,
                    "data": self.data,
                    "workdir": trial.directory,
                    "seed": trial.seed,
                },
                name=f"trial {trial.number}",
                report=report,
                threads=settings.compute.threads,
                environment=environment,
                log=trial.directory / "log.txt",
                cancelled=trial.cancelled,
            )
            # FINISHED either way: MLflow shows a KILLED run with the red cross of a FAILED one
            tracking.set_tags(run.id, {"optuna.state": "PRUNED" if trial.pruned else "COMPLETE"})
        return result

    def _side_by_side(self) -> int:
        tuning = self.config.tuning
        return tuning.parallel if tuning.repeats else min(tuning.parallel, tuning.trials)

    def _settings(self, trial: Trial) -> FinetuningConfig:
        """Return the settings with the trial's values."""
        return fixed(self.config, trial.values).without_budget()


def _ids(trial: Trial) -> dict[str, str]:
    tags = {
        "optuna.study": trial.study_name,
        "optuna.trial": str(trial.number),
        "optuna.retry_of": trial.retry_of,
        "prefect.task_run_id": runtime.task_run.id,
        "prefect.flow_run_id": runtime.flow_run.id,
        "prefect.root_flow_run_id": _root_flow_run(),
        "rootstock.work_directory": trial.directory,
    }
    return {name: str(value) for name, value in tags.items() if value is not None}


def _root_flow_run() -> str | None:
    """Return the flow run that this process belongs to; a worker's own is not that of the sweep that asked for it."""
    if not runtime.task_run.id:
        return None
    return runtime.flow_run.root_flow_run_id or runtime.flow_run.id


class TrialCancelled(Exception):  # noqa: N818 (says what happened)
    """Somebody cancelled this trial alone."""


def worth_another_try(task: Task[..., Any], run: Any, state: State[Any]) -> bool:
    """Whether trying again can help, and is wanted."""
    error: Any = state.result(raise_on_failure=False)
    return is_no_mistake(task, run, state) and not isinstance(error, TrialCancelled)


@task(
    name="trial",
    task_run_name="trial-{number}",
    retries=1,
    retry_condition_fn=worth_another_try,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run_trial(number: int, trial: Trial, run: Callable[[Trial], dict[str, Any]]) -> dict[str, Any] | State[Any]:
    """Run one trial; a pruned one shows as Pruned."""
    trial.begin()
    try:
        trial.result = run(trial)
    except Exception as error:
        trial.error = error
        raise
    if trial.pruned:
        return Completed(name="Pruned", message=f"fell behind at step {trial.last_step}", data=trial.result)
    return trial.result
