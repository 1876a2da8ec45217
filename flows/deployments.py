"""What the Prefect server offers: every flow as a deployment, one preset each, and the nightly sweep on a schedule.

Each deployment is named after its preset: `pipeline/demo`, `pretraining/demo`, ... Runs may overlap, except the nightly
ones: a night that finds the last one still running is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import serve
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron

from configs.loading import load
from configs.schedule import ScheduleConfig
from flows.data_preparation import data_preparation
from flows.evaluation import evaluation
from flows.finetuning import finetuning
from flows.pipeline import pipeline
from flows.pretraining import pretraining
from flows.promotion import promotion

PRESET = "demo"
NIGHTLY = "nightly-finetune"
NIGHTLY_PRESET = "nightly"


def deployments() -> list[RunnerDeployment]:
    """Return all deployments, each with the preset as its parameters: a run form starts from a valid run."""
    flows = (pipeline, data_preparation, pretraining, finetuning, evaluation, promotion)
    return [_deployment(flow, PRESET) for flow in flows] + [nightly()]


def nightly() -> RunnerDeployment:
    """Return the sweep that runs at night, evaluates, and promotes what has proved better; off until switched on."""
    schedule = load(NIGHTLY_PRESET).schedule or ScheduleConfig()
    return _deployment(
        pipeline,
        NIGHTLY,
        preset=NIGHTLY_PRESET,
        more={"say_when_nothing_is_new": True},
        schedules=[Cron(schedule.cron, timezone=schedule.timezone, slug="nightly", active=_night_is_on())],
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        description="Sweep, evaluate, compare, promote. What did not change is reused, and a night with nothing new "
        "says so.",
    )


def serve_all(limit: int = 4) -> None:
    """Serve the deployments until the process is told to stop; at most `limit` runs at once."""
    serve(*deployments(), limit=limit, pause_on_shutdown=True, print_starting_message=False)


def _night_is_on() -> bool:
    """Tell whether somebody has switched the night on: to register a schedule anew would switch it off again."""
    with get_client(sync_client=True) as client:
        try:
            known = client.read_deployment_by_name(f"{pipeline.name}/{NIGHTLY}")
        except ObjectNotFound:
            return False
    return any(each.active for each in known.schedules)


def _deployment(
    flow: Any, name: str, preset: str = PRESET, more: Mapping[str, Any] | None = None, **options: Any
) -> RunnerDeployment:
    """Return a deployment with a preset's configuration as its parameters, and `more` of them."""
    config = load(preset).model_dump(mode="json", exclude={"extends"})
    return flow.to_deployment(
        name,
        parameters={"config": config, **(more or {})},
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=["rootstock"],
        **options,
    )
