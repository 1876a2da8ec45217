from __future__ import annotations

from tasks import filing, tracking
from tasks.artifacts import Corpus, PreparedData, Tokens
from tasks.report import stages_of_run
from tasks.stage import RESULT, STAGE


def test_every_stage_is_summed_up_with_its_run_its_uris_and_its_metrics() -> None:
    prepared = PreparedData(
        corpus=Corpus(uri="runs:/a/corpus", digest="1", run_id="a"),
        tokens=Tokens(uri="runs:/a/tokens", digest="2", run_id="a"),
    )
    with tracking.open_run("pipeline", experiment="report", key="whole") as whole:
        for name in ("prepare", "evaluate"):
            with tracking.open_run(name, experiment="report", key=name, parent=whole.id, tags={STAGE: name}) as run:
                if name == "prepare":
                    filing.log_text(run.id, prepared.model_dump_json(), RESULT)
                    filing.log_metrics(run.id, {"result/documents": 3, "another": 1})
    stages = stages_of_run(whole.id)
    assert stages["prepare"] == {
        "run_id": tracking.child_runs(whole.id)[0]["id"],
        "uris": {"corpus": "runs:/a/corpus", "tokens": "runs:/a/tokens"},
        "metrics": {"documents": 3.0},
    }
    assert (stages["evaluate"]["uris"], stages["evaluate"]["metrics"]) == ({}, {})
