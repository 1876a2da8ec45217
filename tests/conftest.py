"""What all tests share: a home of their own, one thread, no telemetry, and what some ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.update(
    {
        "DO_NOT_TRACK": "true",  # MLflow honours only the literal "true"
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",  # two test workers with two threads each on two cores wait for each other without end
    }
)
for _configured in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "ROOTSTOCK_OPTUNA_STORAGE"):
    os.environ.pop(_configured, None)  # no test may write to a server of the developer's


@pytest.fixture(autouse=True, scope="module")
def _own_home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give every test file a home directory of its own."""
    name = request.path.stem
    path = tmp_path_factory.getbasetemp() / f"home-{name}"
    path.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROOTSTOCK_HOME", str(path))
        yield path


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Undo what a run with threads of its own has left behind."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return (tokens, tokenizer) of a short text."""
    from tiny_pretraining import make_tokens

    return make_tokens(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run a real Prefect server for the tests that need one."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield
