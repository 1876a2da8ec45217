"""What every verb has around its work: exit codes, one clear message, Ctrl-C in order, results as JSON.

0    done
2    a mistake of the user: one message that says what to do
1    a failure: a short message and the log that holds the rest
130  stopped by Ctrl-C or SIGTERM, with the command that continues
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from flows.environment import environment, log_to_file
from tasks.home import without_credentials

logger = logging.getLogger(__name__)


@dataclass
class Session:
    """One call of a verb."""

    as_json: bool = False
    verbose: bool = False
    log: Path | None = None
    """Where the details go, once there are any."""
    farewell: str | None = None
    """What is said after Ctrl-C where that is the intended end, with exit code 0; by default it is an interruption."""

    def finish(self, value: dict[str, Any], lines: Sequence[str] = ()) -> None:
        """Give out the result: as lines for a person, or as one line of JSON."""
        for line in [json.dumps(value, default=str)] if self.as_json else lines:
            typer.echo(line)


@contextmanager
def session(as_json: bool = False, verbose: bool = False) -> Iterator[Session]:
    """Turn whatever ends the block into an exit code and a message on standard error."""
    current = Session(as_json, verbose)
    try:
        with _interrupts():
            yield current
    except typer.Exit:
        raise
    except Exception as error:
        mistake = isinstance(error, ValueError | FileNotFoundError | NotADirectoryError | IsADirectoryError)
        current.log = current.log or log_to_file()
        logger.error("%s", error, exc_info=error)
        _end(current, _words(error), 2 if mistake else 1, error)
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # Ctrl-C, and what Prefect and our own processes make of it
        if current.farewell:
            typer.echo(current.farewell, err=True)
            raise typer.Exit(0) from None
        _end(current, f"Stopped. This continues where it was:\n  {shlex.join(_program(*sys.argv[1:]))}", 130, error)


def run_flow(flow: str, preset: str, overrides: Sequence[str], as_json: bool, verbose: bool, **arguments: Any) -> None:
    """Run a flow ("module:function") with a configuration beside a Prefect server and give out its result.

    What else the flow takes is given in `arguments`.
    """
    environment()
    with session(as_json, verbose) as current:
        current.log = log_to_file()
        from configs.loading import load
        from flows.interruption import stoppable
        from flows.screen import screen
        from flows.services import living_servers, local_prefect

        config = load(preset, overrides)
        module, _, function = flow.partition(":")
        with screen(), local_prefect(meanwhile=lambda: import_module(module)):
            current.log = log_to_file()  # once more: importing Prefect has set up logging to the screen
            result = stoppable(getattr(import_module(module), function))(config, **arguments)
        servers = living_servers()
        where = (
            f"{servers.prefect_url} and {servers.mlflow_url}/#/experiments" if servers else shlex.join(_program("up"))
        )
        value = result.model_dump(mode="json") if hasattr(result, "model_dump") else dict(result)
        _add_directories(value)
        if hasattr(result, "figures"):
            value["metrics"] = result.figures()
        if hasattr(result, "page"):
            value["path"] = str(result.page())
        lines = result.lines() if hasattr(result, "lines") else _lines(value)
        current.finish(value, [*_try_it(value), *lines, f"Pages of Prefect and MLflow: {where}"])


def _try_it(value: dict[str, Any]) -> list[str]:
    """Return the command that lets the language model write, if `pretrain` or a pipeline made one that does."""
    if value.get("samples"):
        uri = value["model"]["uri"]
    else:
        made = value.get("facts", {}).get("stages", {}).get("pretrain", {}).get("uris", {})
        uri = made.get("model") if "samples" in made else None
    return [f"Try it: {shlex.join(_program('generate', uri, '--prompt', 'It is'))}"] if uri else []


def _add_directories(value: dict[str, Any]) -> None:
    """Put beside each logged model the directory that `transformers` opens, and beside a corpus the page of its card.

    Only where MLflow keeps them on this machine.
    """
    from tasks.describe import data_card_at
    from tasks.logged_models import stored_at

    for each in [each for each in value.values() if isinstance(each, dict)]:
        _add_directories(each)
    uri, corpus = value.get("uri"), value.get("corpus")
    if isinstance(uri, str) and uri.startswith("models:/m-") and (directory := stored_at(uri)):
        value["directory"] = str(directory)
    # the card of the stage, which is of these tokens, though the corpus may be of an earlier run
    if isinstance(corpus, dict) and (page := data_card_at(value.get("run_id") or corpus["run_id"])):
        corpus["data_card"] = str(page)


def _lines(value: dict[str, Any], path: str = "") -> list[str]:
    """Return where the things that a stage made lie, one a line."""
    lines = []
    for key, each in value.items():
        if isinstance(each, dict):
            lines += _lines(each, f"{path}{key} ")
        elif key in ("uri", "directory", "data_card", "version", "alias", "reason", "path") and each is not None:
            lines.append(f"{path}{'' if key == 'uri' else key.replace('_', ' ') + ' '}{each}")
    return lines


def _end(current: Session, message: str, code: int, error: BaseException) -> None:
    if current.verbose and code != 130:
        import traceback

        message = "".join(traceback.format_exception(error)).rstrip()
    message = without_credentials(message)
    details = f"\nDetails: {current.log}" if code == 1 else ""
    typer.echo(f"{'' if code == 130 else 'Error: '}{message}{details}", err=True)
    if current.as_json:
        typer.echo(json.dumps({"error": message, "exit_code": code}))
    raise typer.Exit(code) from None


def _words(error: Exception) -> str:
    """Return what an exception says, or what it is when it says nothing that a person can use."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}"
    if isinstance(error, ValueError | RuntimeError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _program(*arguments: str) -> list[str]:
    """Return the shortest command that runs this program with arguments from here, where it need not be on the path."""
    path = Path(sys.argv[0]).absolute()
    if not os.access(path, os.X_OK):  # python -m flows.cli
        return [sys.executable, "-m", "flows.cli", *arguments]
    found = shutil.which(path.name)
    if found and path.samefile(found):
        return [path.name, *arguments]
    relative = os.path.join(os.path.relpath(path.parent), path.name)
    return [min(relative, str(path), key=len), *arguments]


@contextmanager
def _interrupts() -> Iterator[None]:
    """Stop in order at the first Ctrl-C or SIGTERM, and at once at the second."""

    def first(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, at_once)
        signal.signal(signal.SIGTERM, at_once)
        os.write(2, b"\nStopping in order. Ctrl-C again stops at once.\n")
        raise KeyboardInterrupt

    def at_once(number: int, frame: object) -> None:
        os.write(2, b"\x1b[?25h" if os.isatty(2) else b"")  # the cursor, which the bars had hidden
        os._exit(130)  # the servers and the training processes see that this process is gone, and end too

    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
