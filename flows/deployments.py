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
from configs.pipeline import PipelineConfig
from configs.schedule import ScheduleConfig
from flows.data_preparation import data_preparation
from flows.evaluation import evaluation
from flows.finetuning import finetuning
from flows.pipeline import pipeline
from flows.pretraining import pretraining
from flows.promotion import promotion

DEMO = "demo"
NIGHTLY = "nightly-finetune"
NIGHTLY_PRESET = "nightly"


def deployments(preset: str = DEMO) -> list[RunnerDeployment]:
    """Return all deployments, each with a preset or a file as its parameters: a run form starts from a valid run.

    Stages that it leaves out have none.
    """
    config = load(preset)
    stages = {
        data_preparation: config.data_preparation,
        pretraining: config.pretraining,
        finetuning: config.finetuning,
        evaluation: config.evaluation,
        promotion: config.promotion,
    }
    flows = [pipeline, *(flow for flow, section in stages.items() if section)]
    return [_deployment(flow, config.name, config) for flow in flows] + [nightly(preset)]


def nightly(preset: str = DEMO) -> RunnerDeployment:
    """Return the pipeline that runs at night, with the demo as the preset `nightly` has it; off until switched on."""
    config = load(NIGHTLY_PRESET if preset == DEMO else preset)
    schedule = config.schedule or ScheduleConfig()
    return _deployment(
        pipeline,
        NIGHTLY,
        config,
        more={"say_when_nothing_is_new": True},
        schedules=[Cron(schedule.cron, timezone=schedule.timezone, slug="nightly", active=_night_is_on())],
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        description="Sweep, evaluate, compare, promote. What did not change is reused, and a night with nothing new "
        "says so.",
    )


def serve_all(preset: str = DEMO, limit: int = 4) -> None:
    """Serve the deployments until the process is told to stop; at most `limit` runs at once."""
    serve(*deployments(preset), limit=limit, pause_on_shutdown=True, print_starting_message=False)


def _night_is_on() -> bool:
    """Tell whether somebody has switched the night on: to register a schedule anew would switch it off again."""
    with get_client(sync_client=True) as client:
        try:
            known = client.read_deployment_by_name(f"{pipeline.name}/{NIGHTLY}")
        except ObjectNotFound:
            return False
    return any(each.active for each in known.schedules)


def _deployment(
    flow: Any, name: str, config: PipelineConfig, more: Mapping[str, Any] | None = None, **options: Any
) -> RunnerDeployment:
    """Return a deployment with a configuration as its parameters, and `more` of them."""
    parameters = {"config": config.model_dump(mode="json", exclude={"extends"}), **(more or {})}
    return flow.to_deployment(
        name,
        parameters=parameters,
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=["rootstock"],
        **options,
    )
