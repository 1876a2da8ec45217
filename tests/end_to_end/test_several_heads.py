"""Two heads on one backbone through all stages: searched, trained, evaluated, registered, asked with raw text."""

from __future__ import annotations

import json

import mlflow
import pandas
import pytest
import yaml
from beside_sets import write_sets
from tiny_models import save_llama

from configs.loading import load
from lm_modules.reporting.card import as_markdown
from tasks import tracking
from tasks.report import gather, stages_of_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_id(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> str:
    """The MLflow run of one pipeline."""
    from flows.pipeline import pipeline

    folder = tmp_path_factory.mktemp("two_heads")
    sets = write_sets(folder / "sets", 120)
    sets["beside"]["entities"]["weight"] = {"low": 0.3, "high": 1.0}
    settings = {
        "name": "two",
        "finetuning": {
            **sets,
            "base": str(save_llama(folder / "base")),
            "dropout": 0.0,
            "context_length": 64,
            "optimization": {"learning_rate": 3e-3, "layer_decay": 1.0, "epochs": 3, "batch_examples": 8},
            "tuning": {"trials": 2, "parallel": 1},
        },
        "evaluation": {"bootstrap_replicates": 200, "language_model": None},
        "promotion": {"registered_name": "two"},
    }
    (folder / "two.yaml").write_text(yaml.safe_dump(settings))
    return pipeline(load(str(folder / "two.yaml"))).run_id


def test_the_weight_is_searched_and_both_heads_are_reported(run_id: str) -> None:
    stages = stages_of_run(run_id)
    facts = gather(run_id)
    assert facts.sweep
    assert all(set(each.params) == {"beside.entities.weight"} for each in facts.sweep.trials)
    trial = next(each for each in tracking.child_runs(stages["finetune"]["run_id"]) if each["name"] == "trial-0")
    assert tracking.metric_history(trial["id"], "validation/entities/entity_f1")
    assert "beside/entities/entity_f1" in stages["evaluate"]["metrics"]
    assert facts.evaluation
    assert set(facts.evaluation.beside["entities"].models) == {"frequent_tag", "random_weights", "tuned"}
    assert facts.labelled
    assert set(facts.labelled["beside"]) == {"entities"}
    card = as_markdown(facts)
    assert "Learned beside: entities" in card
    assert "Labelled examples: entities" in card


def test_the_registered_model_finds_the_relations_of_a_raw_text(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.home import tracking_uri

    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri())
    client = tracking.client()
    (version,) = client.search_model_versions("name='two'")
    asked = pandas.DataFrame({"text": ["Ada is in Rome abc", "<e1>Ada</e1> is in <e2>Rome</e2> abc"]})
    raw, pair = mlflow.pyfunc.load_model(f"models:/two/{version.version}").predict(asked)
    assert set(raw) == {"relations"}
    assert set(pair) == {"label", "probability"}
    assert json.loads(json.dumps(raw)) == raw
