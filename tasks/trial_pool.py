"""Trials on other machines: each a flow run of the deployment `trial/<pool>`, which any worker of the pool may take.

    the sweep                                   a worker
    asks the study for values
    starts a flow run  ------------------->     joins the trial in the study, trains, reports into it, and heeds the
    looks how it is                             pruner; files the model under the trial's MLflow run
    takes the model from there  <----------     writes what came of it into the study
    tells the study how it ended

Only references travel: the settings, the uris of base and data, the names of study and trial. A worker that dies is
noticed by its silence, and the trial is started again, from its checkpoint where that machine takes it again.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import runtime, states
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from configs.finetuning import FinetuningConfig
from lm_modules.progress import NOTICE
from tasks import filing
from tasks.artifacts import LabelledData, Model
from tasks.home import home, optuna_storage
from tasks.locks import file_lock
from tasks.processes import Cancelled
from tasks.trial import Finetuning, TrialCancelled, run_trial
from tasks.tune import Future

if TYPE_CHECKING:
    from tasks.study import Trial

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 20.0
"""How often a worker says that it lives."""
SILENCE_SECONDS = 300.0
"""A worker that has said nothing for so long is taken for dead."""
PATIENCE_SECONDS = 60.0
"""A trial that waits longer for a worker is spoken of."""
MODEL = "model"


class WorkerDied(RuntimeError):  # noqa: N818 (says what happened)
    """The worker that had the trial is gone."""


def deployment_name(pool: str) -> str:
    """Return the name under which workers of a pool find the trials."""
    return f"trial/{pool}"


def limit_of(pool: str) -> int | None:
    """Return how many runs a work pool lets go on at once, None for any number; ValueError if there is no such pool."""
    with get_client(sync_client=True) as client:
        try:
            return client.read_work_pool(pool).concurrency_limit
        except ObjectNotFound:
            raise ValueError(
                f"tuning.work_pool: there is no work pool {pool!r}; `prefect work-pool create {pool} --type process` "
                f"makes one, and `prefect worker start --pool {pool}` on each machine works for it"
            ) from None


@dataclass(frozen=True)
class PooledFinetuning:
    """What the trials of a sweep have in common, where workers of a pool train them."""

    config: FinetuningConfig
    base: Model
    data: LabelledData
    seed: int
    experiment: str
    parent: str

    @property
    def pool(self) -> str:
        """The name of the work pool."""
        return str(self.config.tuning.work_pool)

    def submit(self, trial: Trial) -> Future:
        """Start a trial; the task that is returned follows it."""
        return run_trial.submit(trial.number, trial, self.run)

    def run(self, trial: Trial) -> dict[str, Any]:
        """Have a trial done, and return what its training returned, with the model fetched."""
        started: Any = run_deployment(
            deployment_name(self.pool),
            parameters={
                "study": trial.study_name,
                "number": trial.number,
                "config": self.config.model_dump(mode="json"),
                "base": self.base.model_dump(mode="json"),
                "data": self.data.model_dump(mode="json"),
                "seed": self.seed,
                "experiment": self.experiment,
                "parent": self.parent,
            },
            flow_run_name=f"trial-{trial.number}",
            timeout=0,
        )
        trial.note(prefect_flow_run_id=str(started.id), prefect_task_run_id=runtime.task_run.id)
        with get_client(sync_client=True) as client:
            state = self._followed(client, started.id, trial)
        if state.is_crashed():
            raise WorkerDied(state.message or "the worker is gone")
        if state.is_cancelled():
            raise TrialCancelled(f"its flow run {started.name} was cancelled")
        heard = trial.heard()
        if not state.is_completed():
            mistake = heard.get("mistake")
            raise ValueError(mistake) if mistake else RuntimeError(state.message or "its flow run failed")
        trial.pruned, trial.last_step = heard["was_pruned"], heard["last_step"]
        result = json.loads(heard["returned"])
        if MODEL in result:
            target = trial.directory / MODEL
            filing.take_directory(result[MODEL], target)
            result[MODEL] = str(target)
        return result

    def _followed(self, client: SyncPrefectClient, flow_run: UUID, trial: Trial) -> Any:
        """Return the state in which a flow run ended; Cancelled if the sweep was called off meanwhile."""
        began = heard_at = time.monotonic()
        sign: Any = None
        spoke = False
        while True:
            state = client.read_flow_run(flow_run).state
            if state is not None and state.is_final():
                return state
            now = time.monotonic()
            if state is not None and (state.is_running() or state.is_cancelling()):
                if (heard := trial.heard().get("alive")) != sign:
                    sign, heard_at = heard, now
                if now - heard_at > SILENCE_SECONDS:
                    end = states.Cancelled if state.is_cancelling() else states.Crashed
                    message = f"its worker has said nothing for {SILENCE_SECONDS:g} seconds"
                    client.set_flow_run_state(flow_run, end(message=message), force=True)
            elif now - began > PATIENCE_SECONDS and not spoke:
                spoke = True
                logger.log(
                    NOTICE,
                    "trial %d waits for a worker: `prefect worker start --pool %s` on a machine that is to work",
                    *(trial.number, self.pool),
                )
            if trial.cancelled.wait(POLL_SECONDS):
                client.set_flow_run_state(flow_run, states.Cancelling(message="the sweep was called off"), force=True)
                raise Cancelled


def work(
    *,
    study: str,
    number: int,
    config: FinetuningConfig,
    base: Model,
    data: LabelledData,
    seed: int,
    experiment: str,
    parent: str,
) -> str:
    """Do a trial of a study on this machine, for a sweep on another; return how it ended."""
    from tasks.study import Study
    from tasks.study_storage import open_storage

    directory = home() / "trials" / study
    directory.mkdir(parents=True, exist_ok=True)
    with open_storage(optuna_storage()) as storage:
        trial = Study(config, config.tuning, storage, study, directory, seed).join(number)
        # an attempt that the sweep has given up may still be at work here
        with file_lock(directory / f"trial-{trial.first}.lock"), _heartbeat(trial):
            finetuning = Finetuning(config, base.local(), data.local(), experiment, parent)
            try:
                result = finetuning.run(trial)
            except ValueError as error:
                trial.note(mistake=str(error))
                raise
            if MODEL in result:
                run_id = trial.heard()["mlflow_run_id"]
                result[MODEL] = filing.log_directory(run_id, Path(result[MODEL]), MODEL)
            trial.note(returned=json.dumps(result), was_pruned=trial.pruned, last_step=trial.last_step)
            return "pruned" if trial.pruned else "complete"


@contextmanager
def _heartbeat(trial: Trial) -> Iterator[None]:
    """Say now and then, in the study, that this worker lives."""
    over = threading.Event()

    def beat() -> None:
        beats = 0
        while not over.wait(HEARTBEAT_SECONDS):
            beats += 1
            trial.note(alive=beats)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
