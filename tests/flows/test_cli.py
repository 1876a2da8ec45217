import json
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from typer.testing import CliRunner

from flows.cli import app
from flows.interruption import CTRL_C, IN_PREFECT
from lm_modules.objectives.masked_lm import MaskedLm
from lm_modules.objectives.mixture import Mixture

VERBS = [
    *("run", "prepare", "pretrain", "finetune", "evaluate", "promote", "report", "generate", "rollback", "cancel"),
    *("coordinate-check", "kinds", "presets", "show", "up", "doctor"),
]

FLOWS = """
import os
import time
from pathlib import Path
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner
from tasks.processes import children_end_together, run_isolated

def train(number):
    Path(f"training-{number}").write_text(str(os.getpid()))
    time.sleep(600)

@task
def fit(number):
    run_isolated("command_line_flows:train", {"number": number}, name="a fit")

@flow(task_runner=ThreadPoolTaskRunner())
def side_by_side(config):
    with children_end_together():
        for future in [fit.submit(number) for number in (1, 2)]:
            future.result()

@task
def refuse():
    raise ValueError("the folder texts is empty; put .txt files into it")

@task
def break_down():
    raise ZeroDivisionError("division by zero")

@task
def rest():
    Path("resting").write_text(str(os.getpid()))
    time.sleep(60)

@flow
def inner(config):
    {"mistake": refuse, "failure": break_down, "sleep": rest}.get(config.name, lambda: None)()

@flow
def outer(config):
    side_by_side(config) if config.name == "fits" else inner(config)
    return {"run_id": "abc", "name": config.name}
"""

CALL = """
import sys
import typer
from flows.session import run_flow
try:
    run_flow("command_line_flows:outer", sys.argv[1], [], "--json" in sys.argv, "--verbose" in sys.argv)
except typer.Exit as end:
    sys.exit(end.exit_code)
"""


@pytest.fixture(autouse=True)
def unchanged_process():
    """Take back what a verb does to its process: environment and logging."""
    environment, root = dict(os.environ), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for key in set(os.environ) - set(environment):
        del os.environ[key]
    os.environ.update(environment)
    for handler in [each for each in root.handlers if each not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with flows that go wrong in all ways, whose home keeps its database from test to test."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "command_line_flows.py").write_text(FLOWS)
    for name in ("success", "mistake", "failure", "sleep", "fits"):
        (folder / f"{name}.yaml").write_text("data_preparation: {}\n")
    return folder


def start(workplace: Path, *arguments: str, api: str | None = None) -> subprocess.Popen:
    hidden = ("PREFECT_", "MLFLOW_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    environment |= {"ROOTSTOCK_HOME": str(workplace / "home"), "PYTHONPATH": str(workplace)}
    if api:
        environment["PREFECT_API_URL"] = api
    return subprocess.Popen(
        [sys.executable, "-c", CALL, *arguments],
        env=environment,
        cwd=workplace,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_the_import_takes_less_than_half_a_second_and_nothing_heavy():
    code = "import sys, flows.cli; print([n for n in ('torch', 'prefect', 'mlflow', 'pydantic') if n in sys.modules])"
    before = os.times()
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = os.times()
    assert found.stdout.strip() == "[]"
    # seconds of the processor, so that a busy machine does not count
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.5


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb):
    code, out, _ = call(verb, "--help")
    assert code == 0
    assert f"Example: rootstock {verb}" in out


def test_the_help_cuts_nothing_off_and_names_what_is_to_be_given():
    code, out, _ = call("--help")
    assert (code, "..." in out.partition("Commands:")[2]) == (0, False)
    assert "PRESET_OR_YAML" in call("run", "--help")[1].splitlines()[0]


def test_a_mistake_in_the_configuration_ends_with_2_and_one_line(home, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("seeed: 1\n")
    for verb in ("run", "prepare", "pretrain", "finetune", "evaluate", "promote"):
        code, out, err = call(verb, str(path))
        assert (code, out) == (2, "")
        assert err == f"Error: unknown key 'seeed'; did you mean 'seed'? ({path})\n"
    code, out, _ = call("run", str(path), "--json")
    assert (code, json.loads(out)["exit_code"]) == (2, 2)


def test_widths_that_are_no_numbers_end_with_2(home):
    code, out, err = call("coordinate-check", "tiny_causal_lm", "--widths", "32,wide")
    assert (code, out) == (2, "")
    assert err == "Error: --widths '32,wide' is no list of whole numbers; write for example 64,128,256\n"


def test_kinds_lists_families_members_and_their_fields():
    code, out, _ = call("kinds")
    assert code == 0
    assert {"filters", "objectives", "heads", "adapters"} <= set(out.splitlines())
    code, out, _ = call("kinds", "filters", "--json")
    fields = json.loads(out.splitlines()[-1])["filters"]["length"]["fields"]
    assert fields["min_words"]["help"]
    code, _, err = call("kinds", "filtres")
    assert (code, "did you mean 'filters'" in err) == (2, True)


def test_kinds_tells_each_member_in_one_line():
    _, out, _ = call("kinds", "sources", "--json")
    helps = [each["help"] for each in json.loads(out.splitlines()[-1])["sources"].values()]
    assert helps
    assert not any("  " in each or "\n" in each for each in helps)


def test_kinds_prints_defaults_as_they_are_written():
    code, out, _ = call("kinds", "objectives")
    assert code == 0
    defaults = [yaml.safe_load(each) for each in re.findall(r"\(default (.*)\)$", out, re.MULTILINE)]
    assert MaskedLm().model_dump(mode="json") in defaults
    assert "(default false)" in out
    assert "MaskedLm(" not in out
    parts = [each for each in defaults if isinstance(each, dict) and "forward" in each]
    assert Mixture.model_validate({"parts": parts[0]}) == Mixture()
    _, out, _ = call("kinds", "objectives", "--json")
    shown = json.loads(out.splitlines()[-1])["objectives"]["next_sentence"]["fields"]["masked_lm"]["default"]
    assert MaskedLm.model_validate(shown) == MaskedLm()


def test_show_prints_yaml_that_loads_back(home, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("data_preparation: {}\n")
    code, out, _ = call("show", str(path), "--set", "seed=7")
    assert code == 0
    again = tmp_path / "again.yaml"
    again.write_text(out)
    assert call("show", str(again)) == (0, out, "")
    assert "seed: 7" in out
    assert call("show")[0] == 2
    assert "PipelineConfig" in call("show", "--schema")[1] or "Pipeline" in call("show", "--schema")[1]


def test_presets_are_listed_with_their_first_line():
    code, out, _ = call("presets", "--json")
    assert code == 0
    assert all(line for line in json.loads(out).values())


def test_doctor_finds_this_machine_fit_and_a_silent_server_unfit(home, monkeypatch):
    code, out, _ = call("doctor", "--json")
    findings = json.loads(out.splitlines()[-1])
    assert code == 0, findings
    assert {"python", "packages", "device", "cores", "memory", "disk", "home"} <= findings.keys()
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    code, out, _ = call("doctor")
    assert code == 1
    assert "does not answer" in out


def test_doctor_names_the_servers_without_their_passwords(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", "postgresql+psycopg://me:secret@database.example/optuna")
    _, out, err = call("doctor")
    assert "secret" not in out + err
    assert "http://127.0.0.1:9/health does not answer" in out
    assert "postgresql+psycopg://database.example/optuna" in out


@pytest.mark.parametrize("model", ["models:/m-0123456789abcdef", "runs:/unknown/model"])
def test_a_model_that_mlflow_does_not_know_ends_with_2_and_one_line(home, model):
    code, out, err = call("generate", model)
    assert (code, out) == (2, "")
    assert f"no model '{model}'" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", [("generate", "nobody@champion"), ("rollback", "nobody", "--reason", "x")])
def test_a_name_that_is_not_registered_ends_with_2_and_those_that_are(home, command):
    assert call(*command) == (2, "", "Error: no model is registered as 'nobody'; known: none\n")


def test_verbose_shows_the_traceback_of_a_mistake_too(home):
    code, _, err = call("generate", "no-model-here", "--verbose")
    assert (code, "Traceback" in err, "NAME@champion" in err) == (2, True, True)


def test_a_model_that_is_not_there_ends_with_2_and_a_quiet_screen(home):
    command = [sys.executable, "-m", "flows.cli", "generate", "no-model-here"]
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "ROOTSTOCK_HOME": str(home)})
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert "NAME@champion" in result.stderr


def test_a_flow_that_succeeds_ends_with_0_and_json_last(workplace):
    process = start(workplace, "success.yaml", "--json")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1]) == {"run_id": "abc", "name": "success"}
    assert err == ""


def test_a_mistake_found_in_a_task_of_a_subflow_ends_with_2_and_one_line(workplace):
    process = start(workplace, "mistake.yaml")
    out, err = process.communicate(timeout=180)
    assert (process.returncode, out) == (2, "")
    assert err == "Error: the folder texts is empty; put .txt files into it\n"


def test_a_failure_ends_with_1_and_the_log_that_has_the_traceback(workplace):
    process = start(workplace, "failure.yaml")
    out, err = process.communicate(timeout=180)
    assert (process.returncode, out) == (1, "")
    first, second = err.splitlines()
    assert first == "Error: ZeroDivisionError: division by zero"
    assert "Traceback" in Path(second.removeprefix("Details: ")).read_text()


def test_ctrl_c_ends_in_order_with_the_command_that_continues(workplace):
    process = start(workplace, "sleep.yaml")
    wait_for(lambda: rests(workplace, process) and newest_task(workplace) == ("rest", "Running"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping in order" in err
    assert err.splitlines()[-1].endswith("sleep.yaml")
    assert "Traceback" not in err
    with sqlite3.connect(workplace / "home" / "prefect" / "prefect.db") as database:
        states = database.execute(
            "select flow.name, flow_run.state_name, flow_run_state.message from flow_run "
            "join flow on flow.id = flow_run.flow_id join flow_run_state on flow_run_state.id = flow_run.state_id "
            "order by flow_run.created desc limit 2"
        ).fetchall()
    assert {name: each for name, *each in states} == {key: ["Cancelled", CTRL_C] for key in ("outer", "inner")}
    assert newest_task(workplace) == ("rest", "Cancelled")


@pytest.mark.parametrize("which", ["outer", "inner"])
def test_a_run_of_a_terminal_is_cancelled_in_prefect(workplace, prefect_server, monkeypatch, which):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.settings import PREFECT_API_URL

    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value())
    process = start(workplace, "sleep.yaml", api=PREFECT_API_URL.value())
    wait_for(lambda: rests(workplace, process))
    with get_client(sync_client=True) as client:
        running = FlowRunFilter.model_validate({"state": {"type": {"any_": ["RUNNING"]}}})
        flows = {
            each.id: client.read_flow(each.flow_id).name for each in client.read_flow_runs(flow_run_filter=running)
        }
        runs = {name: number for number, name in flows.items() if name in ("outer", "inner")}
        (rest,) = [each for each in client.read_task_runs() if each.state.is_running() and "rest" in each.name]
        code, _, err = call("cancel", str(rest.id))
        assert (code, f"cancel its flow run, {runs['inner']}" in err) == (2, True)
        assert call("cancel", str(runs[which]))[0] == 0
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "sleep.yaml" in err
        for each in (runs["outer"], runs["inner"]):
            state = client.read_flow_run(each).state
            assert (state.name, state.message) == ("Cancelled", IN_PREFECT)
    code, _, err = call("cancel", str(runs["outer"]))
    assert (code, "has ended: it is Cancelled" in err) == (2, True)
    for unknown, said in (("abc", "is no id of a run"), ("0198c6f2-7d7e-7c60-8a3c-2f6f1f3f9d11", "knows no run")):
        code, _, err = call("cancel", unknown)
        assert (code, said in err) == (2, True)


def test_ctrl_c_ends_also_the_trainings_that_threads_wait_for(workplace):
    process = start(workplace, "fits.yaml")
    files = [workplace / f"training-{number}" for number in (1, 2)]
    wait_for(lambda: all(each.exists() and each.read_text() for each in files))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert not any(psutil.pid_exists(int(each.read_text())) for each in files)


def newest_task(workplace: Path) -> tuple[str, str] | None:
    with sqlite3.connect(workplace / "home" / "prefect" / "prefect.db") as database:
        found = database.execute("select name, state_name from task_run order by created desc limit 1").fetchone()
    return found and (found[0].partition("-")[0], found[1])


def rests(workplace: Path, process: subprocess.Popen) -> bool:
    file = workplace / "resting"
    return file.exists() and file.read_text() == str(process.pid)


def logs_of(workplace: Path, pid: int) -> str:
    return "".join(path.read_text() for path in (workplace / "home" / "logs").glob(f"*-{pid}.log"))


def wait_for(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
