from __future__ import annotations

import pytest

from tasks import tracking
from tasks.home import without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@mlflow.example:5000/", "http://mlflow.example:5000/"),
        ("no model in https://me:s@cr@t@host: gone", "no model in https://host: gone"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://host/path, write to me@example", "http://host/path, write to me@example"),
        ("/home/optuna.journal", "/home/optuna.journal"),
    ],
)
def test_users_and_passwords_are_taken_out_of_urls(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_the_page_of_a_run_is_named_without_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with tracking.open_run("work", experiment="home", key="page") as run:
        client = tracking.client()
    monkeypatch.setattr(tracking, "client", lambda: client)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@mlflow.example:5000/")
    experiment = tracking.run_info(run.id)["experiment_id"]
    assert tracking.run_url(run.id) == f"http://mlflow.example:5000/#/experiments/{experiment}/runs/{run.id}"
