"""One trial of a sweep, on a machine that works for a pool."""

from __future__ import annotations

from typing import Any

from prefect import State, flow
from prefect.deployments.runner import EntrypointType
from prefect.states import Completed

from configs.finetuning import FinetuningConfig
from tasks.artifacts import LabelledData, Model
from tasks.processes import children_end_together
from tasks.reconcile import reconcile
from tasks.trial_pool import limit_of, work


@flow(name="trial", flow_run_name="trial-{number}", persist_result=False)
def trial(
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
) -> State:
    """Train with the values of a trial, for the sweep that asked for it.

    Args:
        study: The name of the study.
        number: The trial's number in it.
        config: The settings of the sweep.
        base: The model that is tuned.
        data: The labelled examples.
        seed: Of the sweep.
        experiment: The MLflow experiment.
        parent: The MLflow run of the sweep.
        attempt: Which try at the trial this is; an older one ends itself.
        is_new: Nothing of this trial was done before.
    """
    reconcile()
    with children_end_together():
        ended = work(
            study=study,
            number=number,
            config=config,
            base=base,
            data=data,
            seed=seed,
            experiment=experiment,
            parent=parent,
            attempt=attempt,
            is_new=is_new,
        )
    return Completed(name="Pruned" if ended == "pruned" else "Completed")


def offer_trials(pool: str) -> None:
    """Let workers of a pool find the trials; ValueError if there is no such pool."""
    limit_of(pool)
    deployed: Any = trial.to_deployment(
        pool, work_pool_name=pool, entrypoint_type=EntrypointType.MODULE_PATH, tags=["rootstock"]
    )
    deployed.apply()
