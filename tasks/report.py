"""The report card of a run, gathered from what its stages filed in MLflow."""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from lm_modules.reporting import facts as card
from lm_modules.reporting.card import write_card
from tasks import filing, tracking
from tasks.artifacts import (
    Artifact,
    Evaluation,
    Finetuned,
    PreparedData,
    Pretrained,
    ReportCard,
    Verdict,
    artifacts_in,
)
from tasks.caching import is_no_mistake
from tasks.home import report_directory
from tasks.processes import num_cores
from tasks.stage import NAME, RESULT, REUSED, STAGE

CURVES = ("train/loss", "validation/loss", "validation/bits_per_byte", "train/learning_rate")
PACKAGES = ("prefect", "mlflow", "optuna", "lightning", "torch", "transformers", "tokenizers", "peft", "rootstock")
RESULTS: dict[str, Any] = {
    "prepare": PreparedData,
    "pretrain": Pretrained,
    "finetune": Finetuned,
    "evaluate": Evaluation,
    "promote": Verdict,
}


@task(
    cache_policy=NO_CACHE,
    persist_result=True,
    result_serializer="json",
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_no_mistake,
)
def report(run_id: str) -> ReportCard:
    """Write the report card of a run, file it with the run, and link it in Prefect."""
    page = report_of_run(run_id)
    filed = ReportCard.file(page.parent, run_id=run_id, name="report", facts={"stages": stages_of_run(run_id)})
    if url := tracking.run_url(run_id):
        create_link_artifact(key="report-card", link=f"{url}/artifacts/report/report.html", link_text="report card")
    create_markdown_artifact(
        key="report", markdown=(page.parent / "report.md").read_text(), description="The report card"
    )
    return filed


def report_of_run(run_id: str) -> Path:
    """Write the report card of a pipeline's run, or of a single stage's, and return the page."""
    return write_card(gather(run_id), report_directory(run_id))


def stages_of_run(run_id: str) -> dict[str, Any]:
    """Return of each stage of a run its MLflow run, the uris of what it handed on, and its metrics."""
    return {
        each["tags"][STAGE]: {"run_id": each["id"], "uris": _uris(_result(each)), "metrics": _figures(each)}
        for each in _stages(tracking.run_info(run_id))
    }


def gather(run_id: str) -> card.ReportFacts:
    """Return what the card shows of a run."""
    whole = tracking.run_info(run_id)
    stages = _stages(whole)
    results = {each["tags"][STAGE]: _result(each) for each in stages}
    facts: dict[str, Any] = {}
    for name, result in results.items():
        if result is not None:
            facts |= _GATHERERS[name](result)
    return card.ReportFacts(
        pipeline=whole["tags"].get(NAME, whole["name"]),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        duration_seconds=_seconds(whole),
        run_id=run_id,
        run_url=tracking.run_url(run_id),
        config_yaml=filing.read_text(run_id, "config.yaml"),
        environment=_environment(),
        stages=[card.Stage(**_stage(each)) for each in stages],
        lineage=[card.Ancestor(**_lineage(each)) for each in _unique(artifacts_in(results))],
        **facts,
    )


def _stages(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of the stages in their order, the newest of each; a run that is a stage stands for itself."""
    if whole["tags"].get(STAGE) in RESULTS:
        return [whole]
    newest = {
        each["tags"][STAGE]: each
        for each in sorted(tracking.child_runs(whole["id"]), key=lambda run: run["start"])
        if STAGE in each["tags"]
    }
    return [newest[name] for name in RESULTS if name in newest]


def _result(run: dict[str, Any]) -> Any:
    """Return what a stage handed on, or null when it did not come to its end."""
    text = filing.read_text(run["id"], RESULT)
    return RESULTS[run["tags"][STAGE]].model_validate_json(text) if text else None


def _prepared(prepared: PreparedData) -> dict[str, Any]:
    facts = {"data": _json(prepared.corpus.local() / "report.json")}
    if prepared.tokenizer:
        facts["tokenizer"] = _json(prepared.tokenizer.local() / "report.json")
    if prepared.tokens:
        facts["tokens"] = _json(prepared.tokens.local() / "meta.json")
        # how often training reads which documents is told by packing, and not written in the directory
        facts["tokens"]["mixture"] = prepared.tokens.facts.get("mixture", {})
    return facts


def _pretrained(pretrained: Pretrained) -> dict[str, Any]:
    run_id = pretrained.checkpoint.run_id
    return {
        "pretraining": pretrained.checkpoint.facts,
        "export": pretrained.model.facts,
        "curves": {name: tracking.metric_history(run_id, name) for name in CURVES},
        "samples": _json(pretrained.samples.local() / "samples.json") if pretrained.samples else [],
    }


def _tuned(tuned: Finetuned) -> dict[str, Any]:
    sweep = tuned.sweep
    trials = [
        {
            "number": each.number,
            "state": "completed" if each.state == "complete" else each.state,
            "value": each.value,
            "params": each.values,
            "seconds": each.seconds,
            "watt_hours": None if each.kilowatt_hours is None else each.kilowatt_hours * 1000,
            "run_url": tracking.run_url(each.run_id) if each.run_id else None,
            "curve": each.steps,
            "error": each.error,
            "repeat_of": each.repeat_of,
            "retry_of": each.retry_of,
        }
        for each in sweep.trials
    ]
    higher = sweep.direction == "maximize"
    return {
        "sweep": {
            "metric": sweep.metric,
            "higher_is_better": higher,
            "trials": trials,
            "importance": sweep.importances,
            "why_no_importance": sweep.why_no_importances,
            "best_number": sweep.winner.number if sweep.winner else None,
        },
        "labelled": {**tuned.data.facts, "uri": tuned.data.uri},
    }


def _evaluated(evaluation: Evaluation) -> dict[str, Any]:
    return {"evaluation": _json(evaluation.local() / "evaluation.json")}


def _decided(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": {
            "decision": "promoted" if verdict.promoted else verdict.alias,
            "reason": verdict.reason,
            "name": verdict.registered_name,
            "version": verdict.version,
            "champion_before": verdict.champion_before,
            "champion_after": verdict.champion_after,
            "comparisons": list(verdict.comparisons),
        }
    }


_GATHERERS: dict[str, Any] = {
    "prepare": _prepared,
    "pretrain": _pretrained,
    "finetune": _tuned,
    "evaluate": _evaluated,
    "promote": _decided,
}


def _stage(run: dict[str, Any]) -> dict[str, Any]:
    """Return a stage for the card; its seconds are those of this run, also when it only reused a result."""
    return {
        "name": run["tags"][STAGE],
        "seconds": _seconds(run),
        "reused": run["tags"].get(REUSED) == "true",
        "run_url": tracking.run_url(run["id"]),
        "figures": _figures(run),
    }


def _figures(run: dict[str, Any]) -> dict[str, float]:
    return {key.removeprefix("result/"): value for key, value in run["metrics"].items() if key.startswith("result/")}


def _uris(result: Any) -> dict[str, str]:
    """Return where the things lie that a stage handed on."""
    if isinstance(result, Artifact):
        return {type(result).__name__.lower(): result.uri}
    return {name: each.uri for name, each in result or () if isinstance(each, Artifact)}


def _seconds(run: dict[str, Any]) -> float:
    """Return how long a run took since it was last opened, up to now if it still is."""
    started = max(run["start"], float(run["tags"].get(tracking.OPENED, 0)))
    ended = run["end"] if run["status"] != "RUNNING" else None  # a run that was opened again keeps its old end
    return (ended or datetime.now(UTC).timestamp()) - started


def _lineage(artifact: Artifact) -> dict[str, Any]:
    return {
        "kind": type(artifact).__name__,
        "uri": artifact.uri,
        "digest": artifact.digest,
        "parents": list(artifact.parents),
    }


def _unique(artifacts: Any) -> list[Artifact]:
    return list({each.digest: each for each in artifacts}.values())


def _environment() -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": num_cores(),
        "cpu": _processor(),
        "code": tracking.code_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    """Return the name of the processor as the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _json(path: Path) -> Any:
    return json.loads(path.read_text())
