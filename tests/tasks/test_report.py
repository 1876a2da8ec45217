from __future__ import annotations

from tasks import filing, tracking
from tasks.artifacts import Corpus, Finetuned, LabelledData, Model, PreparedData, Tokens
from tasks.report import _tuned, stages_of_run
from tasks.stage import RESULT, STAGE
from tasks.sweep_result import SweepResult, TrialRecord


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


def test_the_card_is_told_which_trial_went_on_with_another() -> None:
    none = dict.fromkeys(("value", "seconds", "run_id", "task_run_id", "retry_of", "error"))
    both = {**none, "values": {"rate": 0.1}, "steps": (), "result": {}, "kept": True, "first": 0}
    cut_off = TrialRecord(**both | {"number": 0, "state": "continued", "error": "its process was ended"})
    complete = {**both, "state": "complete", "value": 0.5}
    again = TrialRecord(**complete | {"number": 1, "retry_of": 0})
    trials = (cut_off, again, TrialRecord(**complete | {"number": 2, "first": 2}))
    artifact = {"uri": "runs:/a/b", "digest": "1", "run_id": "a"}
    tuned = Finetuned(
        model=Model(**artifact),
        data=LabelledData(**artifact),
        base=Model(**artifact),
        values={},
        sweep=SweepResult(study="s", metric="m", direction="maximize", trials=trials),
    )
    told = _tuned(tuned)["sweep"]
    assert [each["retry_of"] for each in told["trials"]] == [None, 0, None]
    assert told["why_no_importance"].endswith("of 2 trials 2 ended complete.")
    alone = tuned.sweep.model_copy(update={"trials": trials[:2]})
    assert alone.why_no_importances is None, "one trial, though it was tried twice"
