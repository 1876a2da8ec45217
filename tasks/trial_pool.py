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

import itertools
import json
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
from prefect import runtime, states
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from configs.finetuning import FinetuningConfig
from lm_modules.hardware.memory import TooLarge
from lm_modules.progress import NOTICE
from tasks import filing, ownership, tracking
from tasks.artifacts import LabelledData, Model
from tasks.home import home, optuna_storage
from tasks.locks import file_lock
from tasks.processes import Cancelled
from tasks.trial import PREFECT_SECONDS, Finetuning, TrialCancelled, is_cancelled, submit_trial
from tasks.tune import Future

if TYPE_CHECKING:
    from tasks.study import Trial
    from tasks.sweep_result import SweepResult

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 20.0
"""How often a worker says that it lives."""
SILENCE_SECONDS = 300.0
"""A worker that has said nothing for so long is taken for dead."""
PATIENCE_SECONDS = 60.0
"""A trial that waits longer for a worker is spoken of."""
MODEL = "model"
# attributes of a trial in the study
ATTEMPT, ALIVE = "attempt", "alive"


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
        return submit_trial(trial, self.run)

    def run(self, trial: Trial) -> dict[str, Any]:
        """Have a trial done, and return what its training returned, with the model fetched."""
        trial.note(prefect_task_run_id=runtime.task_run.id)
        with get_client(sync_client=True) as client:
            flow_run = self._under_way(client, trial) or self._start(trial)
            state = self._followed(client, flow_run, trial)
            heard = trial.heard()
            if state.is_crashed():
                _close_run(heard)
                raise WorkerDied(state.message or "the worker is gone")
        if state.is_cancelled():
            _close_run(heard)
            raise TrialCancelled("its flow run was cancelled")
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

    def _under_way(self, client: SyncPrefectClient, trial: Trial) -> UUID | None:
        """Return the flow run that an earlier try at this trial began, unless it came to nothing."""
        known = trial.heard().get(ownership.FLOW_RUN)
        if known is None:
            return None
        state = client.read_flow_run(UUID(known)).state
        came_to_nothing = state is None or (state.is_final() and not state.is_completed())
        return None if came_to_nothing else UUID(known)

    def _start(self, trial: Trial) -> UUID:
        is_new = trial.retry_of is None and ATTEMPT not in trial.heard()
        attempt = uuid4().hex
        trial.note(**{ATTEMPT: attempt})
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
                "attempt": attempt,
                "is_new": is_new,
            },
            flow_run_name=f"trial-{trial.number}",
            timeout=0,
        )
        trial.note(**{ownership.FLOW_RUN: str(started.id)})
        return started.id

    def _followed(self, client: SyncPrefectClient, flow_run: UUID, trial: Trial) -> Any:
        """Return the state in which a flow run ended; Cancelled if the sweep was called off meanwhile."""
        began = heard_at = asked_at = time.monotonic()
        sign: Any = None
        spoke = False
        while True:
            now = time.monotonic()
            try:
                state = client.read_flow_run(flow_run).state
                if state is not None and state.is_final():
                    return state
                if state is None or state.is_scheduled():
                    heard_at = now  # nobody has taken it yet
                    if now - began > PATIENCE_SECONDS and not spoke:
                        spoke = True
                        logger.log(
                            NOTICE,
                            "trial %d waits for a worker: `prefect worker start --pool %s` on a machine that may work",
                            *(trial.number, self.pool),
                        )
                elif (beat := trial.heard().get(ALIVE)) != sign:
                    sign, heard_at = beat, now
                elif now - heard_at > SILENCE_SECONDS:
                    end = states.Cancelled if state.is_cancelling() else states.Crashed
                    message = f"its worker has said nothing for {SILENCE_SECONDS:g} seconds"
                    client.set_flow_run_state(flow_run, end(message=message), force=True)
            except httpx.HTTPError as error:
                heard_at = now  # it is the server that says nothing
                logger.warning("Prefect did not say how trial %d is: %s", trial.number, error)
            if now - asked_at > PREFECT_SECONDS:
                asked_at = now
                if is_cancelled(str(runtime.task_run.id)):
                    _call_off(client, trial.heard(), "its task run was cancelled")
            if trial.cancelled.wait(POLL_SECONDS):
                _call_off(client, trial.heard(), "its sweep was called off")
                raise Cancelled


def _call_off(client: SyncPrefectClient, heard: dict[str, Any], why: str) -> None:
    """Have a flow run cancelled, if there is one that has not ended."""
    with suppress(httpx.HTTPError, ObjectNotFound):
        known = heard.get(ownership.FLOW_RUN)
        state = client.read_flow_run(UUID(known)).state if known else None
        if state is not None and not state.is_final() and not state.is_cancelling():
            client.set_flow_run_state(UUID(known), states.Cancelling(message=why))


def _close_run(heard: dict[str, Any]) -> None:
    """Close the MLflow run that a dead worker left open; another try goes on in it."""
    if run_id := heard.get("mlflow_run_id"):
        tracking.finish(run_id, "KILLED")


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
    attempt: str,
    is_new: bool,
) -> str:
    """Do a trial of a study on this machine, for a sweep on another; return how it ended."""
    from tasks.study import Study
    from tasks.study_storage import open_storage

    directory = home() / "trials" / study
    # it has this machine to itself, as far as the sweep knows
    alone = config.model_copy(update={"tuning": config.tuning.model_copy(update={"parallel": 1})})
    with open_storage(optuna_storage()) as storage:
        found = Study(config, config.tuning, storage, study, directory, seed)
        _clear_away(found.result(), directory)
        trial = found.join(number, threading.Event())
        # an attempt that the sweep has given up may still be at work here: it ends when it notices
        with _heartbeat(trial, attempt):
            try:
                _require_a_lasting_home()
                directory.mkdir(parents=True, exist_ok=True)
                with file_lock(directory / f"trial-{trial.first}.lock"):
                    if trial.cancelled.is_set():
                        raise Cancelled
                    if is_new:  # what lies there is of another study that had this name
                        shutil.rmtree(trial.directory, ignore_errors=True)
                    result = Finetuning(alone, base.local(), data.local(), experiment, parent).run(trial)
                    if not _is_wanted(trial, attempt):
                        raise Cancelled
                    _hand_over(trial, result)
            except TooLarge:
                raise  # for this machine
            except ValueError as error:
                trial.note(mistake=str(error))
                raise
        return "pruned" if trial.pruned else "complete"


def _clear_away(sweep: SweepResult, directory: Path) -> None:
    """Remove what trials that have ended left on this machine: those that failed, were cancelled or went elsewhere."""
    needed = {each.directory for each in sweep.trials if each.state in ("running", "waiting")}
    for each in {each.directory for each in sweep.trials} - needed:
        shutil.rmtree(directory / each, ignore_errors=True)


def _require_a_lasting_home() -> None:
    """Raise an error, which no other worker need have, where Prefect makes the home for one flow run and removes it."""
    if not Path(os.environ.get("ROOTSTOCK_HOME", "")).is_absolute():
        raise RuntimeError(
            f"the worker on {socket.gethostname()} has no home that lasts; set ROOTSTOCK_HOME to a folder there, by "
            "its whole path, before `prefect worker start`"
        )


def _is_wanted(trial: Trial, attempt: str) -> bool:
    """Whether the sweep still waits for this try at a trial."""
    return trial.heard().get(ATTEMPT) == attempt and trial.is_open()


def _hand_over(trial: Trial, result: dict[str, Any]) -> None:
    """File what came of a trial where the sweep finds it, and keep nothing here."""
    run_id = trial.heard()["mlflow_run_id"]
    filing.log_preview(run_id, trial.directory)
    if MODEL in result:
        result[MODEL] = filing.log_directory(run_id, Path(result[MODEL]), MODEL)
    trial.note(returned=json.dumps(result), was_pruned=trial.pruned, last_step=trial.last_step)
    shutil.rmtree(trial.directory, ignore_errors=True)


@contextmanager
def _heartbeat(trial: Trial, attempt: str) -> Iterator[None]:
    """Say now and then, in the study, that this worker lives; call the work off when the sweep has given it up."""
    over = threading.Event()

    def beat() -> None:
        for number in itertools.count():
            try:
                if not _is_wanted(trial, attempt):
                    trial.cancelled.set()
                    return
                trial.note(**{ALIVE: f"{attempt} {number}"})
            except Exception as error:  # the database may be away for a while
                logger.warning("could not tell the study that trial %d is at work: %s", trial.number, error)
            if over.wait(HEARTBEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
