"""One trial of a sweep: a Prefect task run, an MLflow run under the stage's, and a training in a process of its own.

Each carries the ids of the others, and of the Optuna trial. A trial that is tried again continues in its MLflow run and
from its checkpoint.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from prefect import State, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelled, Completed
from prefect.transactions import CommitMode, transaction

from configs.finetuning import FinetuningConfig
from configs.tuning import fixed, search_space
from lm_modules.progress import Values, numbers
from tasks import filing, processes, progress, tracking
from tasks.caching import is_no_mistake
from tasks.gpus import gpus_for
from tasks.processes import num_cores, run_isolated
from tasks.spool import MetricSpool
from tasks.tune import MOST_ATTEMPTS, Future

if TYPE_CHECKING:
    from tasks.study import Trial

logger = logging.getLogger(__name__)

FINETUNE = "lm_modules.training.finetuning:finetune"
"""By name: importing it here would import PyTorch into the flow."""
PREFECT_SECONDS = 2.0
"""How often Prefect is asked whether a trial was cancelled."""


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
        return submit_trial(trial, self.run)

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
            called_off(trial.cancelled) as cancelled,
        ):
            trial.note(mlflow_run_id=run.id)
            if runtime.task_run.id:  # on a worker there is none: there the trial is a flow run
                trial.note(prefect_task_run_id=runtime.task_run.id)
            _tell_prefect(trial, run.id)
            settings = self._settings(trial)
            filing.file_config(run.id, settings)
            filing.log_params(run.id, trial.values)

            def report(step: int, values: Values) -> bool:
                spool.log(step, values)
                bar.report(step, values)
                return trial.report(step, numbers(values))

            # the trials side by side share the cores, and so do the processes of each; that is not filed
            settings = settings.with_threads(max(1, num_cores() // (self._side_by_side() * settings.compute.devices)))
            try:
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
                    cancelled=cancelled,
                )
            except processes.Cancelled:
                if trial.cancelled.is_set():
                    raise
                raise TrialCancelled("its task run was cancelled") from None
            # FINISHED either way: MLflow shows a KILLED run with the red cross of a FAILED one
            tracking.set_tags(run.id, {"optuna.state": "PRUNED" if trial.pruned else "COMPLETE"})
        return result

    def _side_by_side(self) -> int:
        tuning = self.config.tuning
        if not search_space(self.config):
            return 1
        return tuning.parallel if tuning.repeats else min(tuning.parallel, tuning.trials)

    def _settings(self, trial: Trial) -> FinetuningConfig:
        """Return the settings with the trial's values."""
        return fixed(self.config, trial.values).without_budget()


def _tell_prefect(trial: Trial, run_id: str) -> None:
    """Write on the trial's page in Prefect where it is in Optuna and MLflow; it trains whether or not that succeeds."""
    url = tracking.run_url(run_id)
    run = f"[MLflow run {run_id}]({url})" if url else f"MLflow run `{run_id}`"
    told = f"Trial {trial.number} of the Optuna study `{trial.study_name}`; {run}"
    try:
        create_markdown_artifact(told, description=f"Trial {trial.number} elsewhere")
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("the page of trial %d in Prefect does not name its runs: %s", trial.number, error)


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


class TrialCancelled(CancelledError):  # noqa: N818 (says what happened)
    """Somebody cancelled this trial alone."""


@contextmanager
def called_off(sweep: threading.Event) -> Iterator[threading.Event]:
    """Give an event that is set with that of the sweep, or when the state of this task run is set to Cancelled."""
    over, called = threading.Event(), threading.Event()
    task_run = runtime.task_run.id

    def watch() -> None:
        asked_at = time.monotonic()
        while not over.wait(0.2):
            if task_run and time.monotonic() - asked_at > PREFECT_SECONDS:
                asked_at = time.monotonic()
                if is_cancelled(task_run):
                    called.set()
            if sweep.is_set():
                called.set()
            if called.is_set():
                return

    thread = threading.Thread(target=watch, name="called off", daemon=True)
    thread.start()
    try:
        yield called
    finally:
        over.set()
        thread.join()


def is_cancelled(task_run: str) -> bool:
    """Tell whether the state of a task run was set to Cancelled."""
    with suppress(httpx.HTTPError, ObjectNotFound), get_client(sync_client=True) as client:
        state = client.read_task_run(UUID(task_run)).state
        return state is not None and state.is_cancelled()
    return False  # Prefect cannot be asked, or has not heard of the task run yet


def submit_trial(trial: Trial, run: Callable[[Trial], dict[str, Any]]) -> Future:
    """Start a trial as a task run whose state is final when it ends.

    Prefect rolls back what has ended within a task that fails, or in which another fails: complete trials would be
    shown as "RolledBack".
    """
    with transaction(commit_mode=CommitMode.EAGER):
        return run_trial.submit(trial.number, trial, run)


@task(
    name="trial",
    task_run_name="trial-{number}",
    retries=MOST_ATTEMPTS - 1,
    retry_condition_fn=is_no_mistake,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run_trial(number: int, trial: Trial, run: Callable[[Trial], dict[str, Any]]) -> dict[str, Any] | State[Any]:
    """Run one trial; a pruned one shows as Pruned, one that was cancelled alone as Cancelled."""
    trial.begin()
    try:
        trial.result = run(trial)
    except TrialCancelled as error:
        trial.error = error
        return Cancelled(message=str(error))
    except Exception as error:
        trial.error = error
        raise
    if trial.pruned:
        return Completed(name="Pruned", message=f"fell behind at step {trial.last_step}", data=trial.result)
    return trial.result
