"""The nightly deployment as a person runs it: from its form in Prefect, to the comparison of its trials in MLflow."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_models import save_labelled, save_llama

from flows import services
from tasks import tracking

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium; `apt-get install chromium` lets this test look at the pages"
)
RUN_SECONDS = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    save_llama(folder / "base")
    directory = save_labelled(folder / "labelled", num_train=300)
    texts = {json.loads(row)["text"]: row for row in (directory / "train.jsonl").read_text().splitlines()}
    (folder / "labels.jsonl").write_text("\n".join(texts.values()))
    settings = {
        "name": "words",
        "finetuning": {
            "base": str(folder / "base"),
            "data": {"kind": "jsonl", "path": str(folder / "labels.jsonl")},
            "context_length": 32,
            "adapter": "full",
            "dropout": 0.0,
            "optimization": {
                "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
                "layer_decay": 1.0,
                "epochs": 2,
            },
            "tuning": {"trials": 3},
        },
        "evaluation": {"bootstrap_replicates": 200},
        "promotion": {"registered_name": "words"},
    }
    (folder / "words.yaml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[services.Servers]:
    ports = [str(services.free_port()) for _ in range(2)]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    command = [sys.executable, "-m", "flows.cli", "up", str(home / "words.yaml")]
    with subprocess.Popen(
        [*command, "--prefect-port", ports[0], "--mlflow-port", ports[1]],
        env=kept | {"ROOTSTOCK_HOME": str(home / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stderr
            said = ""
            while "Ctrl-C" not in said:
                line = process.stdout.readline()
                assert line, process.stderr.read()
                said += line
            assert (
                "evaluation/words, finetuning/words, pipeline/nightly-finetune, pipeline/words, promotion/words" in said
            )
            yield services.Servers(process.pid, 0, f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 1200})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def test_a_night_that_is_started_from_its_form_ends_green_and_its_trials_can_be_compared(
    served, page, home, tmp_path, monkeypatch
):
    page.goto(f"{served.prefect_url}/deployments")
    page.get_by_text("nightly-finetune").first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    field = page.locator("textarea").first
    assert field.input_value() == "words", "the form shows the settings of the deployment"
    field.fill("from-a-form")
    page.screenshot(path=tmp_path / "form.png")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile("tab=Runs"))
    page.goto(f"{served.prefect_url}/runs")
    # a run has its own name from when it begins
    page.get_by_role("link", name="from-a-form").first.click(timeout=RUN_SECONDS * 1000)
    page.get_by_text("Completed", exact=True).first.wait_for(timeout=RUN_SECONDS * 1000)
    page.screenshot(path=tmp_path / "run.png")

    monkeypatch.setenv("ROOTSTOCK_HOME", str(home / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", served.mlflow_url)
    trials = [each for each in tracking.search_runs("", "from-a-form") if each["name"].startswith("trial-")]
    assert len(trials) == 3
    chosen, experiment = json.dumps([each["id"] for each in trials]), json.dumps(["1"])
    query = urllib.parse.urlencode({"runs": chosen, "experiments": experiment})
    page.goto(f"{served.mlflow_url}/#/compare-runs?{query}")
    for number in range(3):
        page.get_by_text(f"trial-{number}").first.wait_for()
    page.get_by_text("optimization.learning_rate").first.wait_for()
    page.screenshot(path=tmp_path / "compare.png")
    for picture in ("form", "run", "compare"):
        assert (tmp_path / f"{picture}.png").stat().st_size > 20_000
