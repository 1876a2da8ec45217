"""Where this machine keeps what Rootstock makes, and which servers it speaks to.

With nothing configured everything lies under `./.rootstock` (or `ROOTSTOCK_HOME`):

    mlflow.db, artifacts/     MLflow's store
    prefect/                  Prefect's database and results
    optuna.journal            the studies
    cache/<digest>/           artifacts that were fetched or made here
    work/<key>/               checkpoints and logs of a piece of work, found again by what is computed
    runs/<MLflow run id>/     metrics on their way to MLflow
    reports/                  report cards
    id                        what tells this home from others

`MLFLOW_TRACKING_URI`, `PREFECT_API_URL` and `ROOTSTOCK_OPTUNA_STORAGE` point at shared servers instead.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

MLFLOW_ENVIRONMENT = {
    # nothing is sent to anyone, and nothing is said that the user did not ask for
    "DO_NOT_TRACK": "true",  # MLflow honours only the literal "true"
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # About half a minute of patience with a server that restarts; the defaults block for four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""What MLflow's client is told where the user has said nothing."""


def home() -> Path:
    """Return the absolute home directory, made if it is missing."""
    path = Path(os.environ.get("ROOTSTOCK_HOME", ".rootstock")).absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def home_id() -> str:
    """Return what tells this home directory from all others, whatever the machine that has it now is called."""
    path = home() / "id"
    if not path.exists():
        mine = path.with_name(f"id-{os.getpid()}")
        mine.write_text(uuid4().hex)
        with suppress(FileExistsError):  # another process was first
            os.link(mine, path)
        mine.unlink()
    return path.read_text()


def tracking_uri() -> str:
    """Return the MLflow store: the configured server, or the database under the home directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


def without_credentials(text: str) -> str:
    """Return a text with no user and password in its URLs (`https://me:secret@host` -> `https://host`)."""
    return re.sub(r"://[^/\s]*@", "://", text)


def optuna_storage() -> str:
    """Return the study storage: a database URL, or the path of the journal file under the home directory."""
    return os.environ.get("ROOTSTOCK_OPTUNA_STORAGE") or str(home() / "optuna.journal")


def cache_directory(digest: str) -> Path:
    """Return where the artifact with this digest lies on this machine (it may not be there yet)."""
    return home() / "cache" / digest


def report_directory(run_id: str) -> Path:
    """Return where the report card of a run lies on this machine (it may not be there yet)."""
    return home() / "reports" / run_id


def run_directory(run_id: str) -> Path:
    """Return the working directory of an MLflow run on this machine, made if it is missing."""
    path = home() / "runs" / run_id
    path.mkdir(parents=True, exist_ok=True)
    return path
