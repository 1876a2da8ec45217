"""What the environment says to Prefect, MLflow and the Hub: quiet, local, nothing sent home, everything under our home.

Prefect reads its settings when it is imported, so this comes first. What the user has set is left as it is.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from tasks.home import MLFLOW_ENVIRONMENT, home

QUIET = {
    **MLFLOW_ENVIRONMENT,
    # nothing is sent to anyone
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # nothing is said that the user did not ask for
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "TOKENIZERS_PARALLELISM": "false",  # otherwise tokenizers warns at every fork
    # a page open in the browser cannot start runs
    "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
    # an outage of minutes is ridden out; a slow machine is waited for; a held slot survives a restart
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # our own log lines are shown with the run in Prefect
    "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,lm_modules",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
}


def environment() -> None:
    """Prepare the environment of this process and of those that it will start. Call it before Prefect is imported."""
    os.environ["ROOTSTOCK_HOME"] = str(home())
    for key, value in (QUIET | {"PREFECT_HOME": str(home() / "prefect")}).items():
        os.environ.setdefault(key, value)
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)


def log_to_file() -> Path:
    """Send every log line and warning of this process to a file of its own instead of the screen; return the file.

    The file is made with its first line. Call this again after Prefect was imported, which sets up logging anew.
    """
    root = logging.getLogger()
    for logger in (root, *map(logging.getLogger, logging.root.manager.loggerDict)):
        for handler in filter(_writes_to_screen, list(logger.handlers)):
            logger.removeHandler(handler)
    file = next((each for each in root.handlers if isinstance(each, RunLog)), None) or RunLog()
    root.addHandler(file)
    root.setLevel(logging.WARNING)
    for name in ("flows", "tasks", "lm_modules"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)
    return Path(file.baseFilename)


class RunLog(logging.FileHandler):
    """The log of one process. Its name begins with no underscore: Prefect keeps the handlers of users alone."""

    def __init__(self) -> None:
        path = home() / "logs" / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{os.getpid()}.log"
        path.parent.mkdir(exist_ok=True)
        super().__init__(path, delay=True)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))


def _writes_to_screen(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler)
