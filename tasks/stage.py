"""What every stage does around its tasks: one MLflow run that carries the ids of its Prefect run, and the result filed.

A stage that was left unfinished, by a crash or by Ctrl-C, is continued in the run that it left.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prefect import runtime
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from configs.pipeline import PipelineConfig
from tasks import filing, progress, tracking
from tasks.artifacts import artifacts_in
from tasks.check_inputs import check_inputs
from tasks.reconcile import reconcile

RESULT = "result.json"
STAGE = "rootstock.stage"
NAME = "rootstock.name"
REUSED = "rootstock.reused"
MADE_BY = "rootstock.made_by"


@dataclass
class Stage:
    """A stage that is running: `run_id` is its MLflow run."""

    name: str
    run_id: str
    reused: bool = False
    figures: Mapping[str, float | str] = field(default_factory=dict)

    def file(self, result: BaseModel, figures: Mapping[str, float | str]) -> None:
        """File what the stage hands on, and the figures that sum it up."""
        self.figures = figures
        made_by = {each.run_id for each in artifacts_in(result)}
        self.reused = bool(made_by) and self.run_id not in made_by
        filing.log_text(self.run_id, result.model_dump_json(indent=2), RESULT)
        filing.log_metrics(
            self.run_id, {f"result/{key}": value for key, value in figures.items() if isinstance(value, int | float)}
        )
        tags = {REUSED: str(self.reused).lower()}
        if self.reused:
            tags[MADE_BY] = ", ".join(sorted(made_by))
        tracking.set_tags(self.run_id, tags)
        create_markdown_artifact(
            key=f"{self.name.replace('_', '-')}-figures",
            markdown=_summary(self, figures),
            description=f"Figures of the stage {self.name}",
        )


@contextmanager
def stage(name: str, config: PipelineConfig, within: str | None = None) -> Iterator[Stage]:
    """Open the MLflow run of a stage; `within` is the run of the pipeline that it belongs to, if any."""
    if within is None:
        check_inputs(config, name)
        reconcile()
    settings = config.model_dump_json(exclude={"extends"})
    with (
        tracking.open_run(
            name,
            experiment=config.name,
            key=hashlib.sha256(f"{name} {settings}".encode()).hexdigest(),
            parent=within,
            tags={STAGE: name, NAME: config.name, **_prefect_tags()},
        ) as run,
        progress.stage(name) as shown,
    ):
        filing.log_config(run.id, config)
        open_stage = Stage(name, run.id)
        yield open_stage
        shown.reused, shown.figures = open_stage.reused, open_stage.figures


def nothing_was_new(run_id: str) -> bool:
    """Tell whether every stage under a pipeline's run reused what an earlier run had made; decisions make nothing."""
    making = [each["tags"] for each in tracking.child_runs(run_id) if each["tags"].get(STAGE) not in (None, "promote")]
    return bool(making) and all(tags.get(REUSED) == "true" for tags in making)


def _prefect_tags() -> dict[str, str]:
    """Return the ids that lead from the MLflow run to its Prefect run, and its page if there is one."""
    flow_run = runtime.flow_run
    if not flow_run.id:
        return {}
    tags = {"prefect.flow_run_id": flow_run.id, "prefect.root_flow_run_id": flow_run.root_flow_run_id or flow_run.id}
    if address := os.environ.get("PREFECT_UI_URL"):
        tags["prefect.flow_run_url"] = f"{address}/runs/flow-run/{flow_run.id}"
    return tags


def _summary(stage: Stage, figures: Mapping[str, Any]) -> str:
    """Return the figures as a Markdown table, with the way to the MLflow run."""
    url = tracking.run_url(stage.run_id)
    where = f"[MLflow run {stage.run_id}]({url})" if url else f"MLflow run `{stage.run_id}`"
    rows = [
        f"| {key} | {value:.4g} |" if isinstance(value, float) else f"| {key} | {value} |"
        for key, value in figures.items()
    ]
    reused = "\n\nNothing had changed: the result of an earlier run was reused." if stage.reused else ""
    return "\n".join([where + reused, "", "| figure | value |", "|---|---|", *rows])
