from __future__ import annotations

import importlib.util
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from lm_modules.hardware.memory import TooLarge
from lm_modules.progress import NOTICE
from tasks.home import home
from tasks.processes import Cancelled, ChildDied, ChildFailed, run_isolated

HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def _work_importable() -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    sys.path.insert(0, str(HERE))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def pids(file: Path) -> list[int]:
    wait_for(lambda: file.exists() and file.read_text() != "")
    return [int(each) for each in file.read_text().split()]


def test_result_comes_back_from_another_process() -> None:
    result = run_isolated("quick_work:add", {"left": 2, "right": 3}, name="add")
    assert result["sum"] == 5
    assert result["pid"] not in (os.getpid(), os.getppid())
    assert result["group"] == result["pid"], "the child must be the head of a process group of its own"


def test_function_may_be_given_itself() -> None:
    import quick_work

    assert run_isolated(quick_work.add, {"left": 1, "right": 1}, name="add")["sum"] == 2


def test_reports_arrive_in_order_and_the_answer_stops() -> None:
    seen = []

    def report(step: int, values: dict[str, float]) -> bool:
        seen.append((step, values["value"]))
        return step == 3

    assert run_isolated("quick_work:count", {"steps": 10}, name="count", report=report) == [False] * 3 + [True]
    assert seen == [(step, step / 2) for step in range(4)]


def test_users_mistake_comes_back_as_value_error_with_its_message() -> None:
    with pytest.raises(ValueError, match=r"^width 0 is below 1; raise it$") as caught:
        run_isolated("quick_work:refuse", {}, name="refuse")
    assert isinstance(caught.value.__cause__, ChildFailed)
    assert "in refuse" in caught.value.__cause__.traceback_text


def test_what_is_too_large_comes_back_as_such() -> None:
    with pytest.raises(TooLarge, match=r"^a single row$"):
        run_isolated("quick_work:outgrow", {}, name="outgrow")


@pytest.mark.parametrize(
    ("function", "type_name"),
    [
        ("stumble", "KeyError"),
        ("misread", "UnicodeDecodeError"),
        ("not_json", "TypeError"),
        ("nowhere", "AttributeError"),
    ],
)
def test_other_exceptions_come_back_with_type_message_and_traceback(function: str, type_name: str) -> None:
    with pytest.raises(ChildFailed, match=f"^the work failed with {type_name}: ") as caught:
        run_isolated(f"quick_work:{function}", {}, name="the work")
    assert caught.value.type_name == type_name
    assert "Traceback" in caught.value.traceback_text


def test_death_by_signal_is_named() -> None:
    with pytest.raises(ChildDied, match="ended by SIGKILL; if the machine ran out of memory") as caught:
        run_isolated("quick_work:be_killed", {}, name="it")
    assert caught.value.exit_code == -signal.SIGKILL


def test_exit_without_result_is_named() -> None:
    with pytest.raises(ChildDied, match="exit code 7"):
        run_isolated("quick_work:leave", {}, name="it")


def test_output_goes_to_the_log_and_notices_and_warnings_also_to_the_parents_logging(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "deep" / "log.txt"
    with caplog.at_level(NOTICE):
        run_isolated("quick_work:speak", {}, name="speak", log=log)
    text = log.read_text()
    assert "to the screen\n" in text
    assert "INFO speech: a detail" in text
    assert "WARNING speech: a warning" in text
    assert [each.getMessage() for each in caplog.records] == ["a notice", "a warning"]
    assert [(each.name, each.levelno) for each in caplog.records] == [("speech", NOTICE), ("speech", logging.WARNING)]
    assert capfd.readouterr() == ("", "")


def test_output_without_a_log_of_its_own_does_not_come_to_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    run_isolated("quick_work:speak", {}, name="speak")
    assert "to the screen" in (home() / "logs" / "children.log").read_text()
    assert capfd.readouterr() == ("", "")


def test_child_has_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("one", "two"):
        monkeypatch.setenv("ROOTSTOCK_TEST_VALUE", value)
        found = run_isolated("quick_work:environment", {"name": "ROOTSTOCK_TEST_VALUE"}, name="environment")
        assert found == value


def test_threads_of_the_child_are_set() -> None:
    assert run_isolated("quick_work:num_threads", {}, name="threads", threads=1) == 1
    assert run_isolated("quick_work:num_threads", {}, name="threads", threads=2) == 2  # the default here is 1


def test_main_module_is_not_imported_again_and_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)  # test workers have none
    before = sys.modules["__main__"].__dict__.get("__file__"), sys.modules["__main__"].__spec__
    assert run_isolated("quick_work:main_module", {}, name="main") != before[0]
    assert (sys.modules["__main__"].__dict__.get("__file__"), sys.modules["__main__"].__spec__) == before


def test_two_children_run_side_by_side(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one", "two")]
    everyone = threading.Barrier(2, timeout=30)
    met = set()

    def meet(step: int, values: dict[str, float]) -> bool:
        if threading.get_ident() not in met:
            met.add(threading.get_ident())
            everyone.wait()  # passes only while both children are at work
        return True

    with ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(run_isolated, "quick_work:survive", {"pid_file": file}, name="it", report=meet)
            for file in files
        ]
        assert [job.result() for job in jobs] == [None, None]
    assert len({file.read_text() for file in files}) == 2


def test_exception_in_the_parent_lets_the_child_save_first(tmp_path: Path) -> None:
    def interrupt(step: int, values: dict[str, float]) -> bool:
        if step == 5:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run_isolated("quick_work:survive", {"pid_file": tmp_path / "pid"}, name="it", report=interrupt)
    assert (tmp_path / "pid.saved").exists()
    assert not lives(pids(tmp_path / "pid")[0])


@pytest.mark.parametrize("patience", [0.0, 0.3])
def test_what_a_child_finds_while_it_ends_is_heard(tmp_path: Path, patience: float) -> None:
    heard, cancelled = [], threading.Event()

    def listen(step: int, values: dict[str, float]) -> bool:
        heard.append(step)
        if step == 3:
            cancelled.set()
        return False

    arguments = {"file": tmp_path / "said", "patience": patience}
    with pytest.raises(Cancelled):
        run_isolated("quick_work:say_to_the_end", arguments, name="it", report=listen, cancelled=cancelled)
    assert heard == [int(each) for each in (tmp_path / "said").read_text().split()]
    assert heard[-1] > 3


def test_event_cancels_from_another_thread_and_the_child_saves(tmp_path: Path) -> None:
    cancelled = threading.Event()
    arguments = {"pid_file": tmp_path / "pid"}

    def keep_going(step: int, values: dict[str, float]) -> bool:
        return False

    with ThreadPoolExecutor() as pool:
        job = pool.submit(
            run_isolated, "quick_work:survive", arguments, name="it", report=keep_going, cancelled=cancelled
        )
        child = pids(tmp_path / "pid")[0]
        cancelled.set()
        with pytest.raises(Cancelled):
            job.result(timeout=30)
    assert (tmp_path / "pid.saved").exists()
    assert not lives(child)
    with pytest.raises(Cancelled):
        run_isolated("quick_work:add", {"left": 1, "right": 1}, name="too late", cancelled=cancelled)


@pytest.mark.parametrize("function", ["ignore_everything", "talk_on"])
def test_child_that_does_not_end_in_time_is_killed(tmp_path: Path, function: str) -> None:
    cancelled = threading.Event()
    more: dict[str, Any] = {"report": lambda step, values: False} if function == "talk_on" else {}
    with ThreadPoolExecutor() as pool:
        job = pool.submit(
            run_isolated,
            f"quick_work:{function}",
            {"pid_file": tmp_path / "pid"},
            name="it",
            grace_seconds=0.5,
            cancelled=cancelled,
            **more,
        )
        child = pids(tmp_path / "pid")[0]
        cancelled.set()
        with pytest.raises(Cancelled):
            job.result(timeout=10)
    assert not lives(child)


PARENT = """
import pathlib, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with it ignored
sys.path.insert(0, {here!r})
from tasks import processes
from tasks.processes import run_isolated
processes.PRELOADED = {preloaded!r}
if __name__ == "__main__":
    def keep_going(step, values): return False
    run_isolated("quick_work:{function}", {{"pid_file": pathlib.Path({file!r})}}, name="it", grace_seconds=10, {more})
"""


def start_parent(
    tmp_path: Path, function: str, more: str = "", preloaded: tuple[str, ...] = ()
) -> tuple[subprocess.Popen[str], Path]:
    file = tmp_path / "pid"
    script = tmp_path / "parent.py"
    script.write_text(
        PARENT.format(here=str(HERE), function=function, file=str(file), more=more, preloaded=[*preloaded])
    )
    root = Path(next(iter(importlib.util.find_spec("tasks").submodule_search_locations))).parent  # type: ignore[union-attr, arg-type]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(HERE)])}
    parent = subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,  # a terminal of its own, so that Ctrl-C can be played to the whole group
    )
    return parent, file


@pytest.mark.parametrize("function", ["ignore_everything", "with_a_worker"])
def test_kill_9_of_the_parent_leaves_nothing_running(tmp_path: Path, function: str) -> None:
    parent, file = start_parent(tmp_path, function)
    born = pids(file)
    family = [*born, *(each.pid for each in psutil.Process(parent.pid).children(recursive=True))]
    assert len(set(family)) >= 3, "child, fork server and resource tracker"
    parent.kill()
    wait_for(lambda: not any(lives(pid) for pid in family), seconds=4)
    assert parent.communicate() == ("", "")


def test_sigterm_to_the_parent_ends_the_child_at_once_without_a_trace(tmp_path: Path) -> None:
    parent, file = start_parent(tmp_path, "ignore_everything")
    child = pids(file)[0]
    parent.terminate()  # plain Python dies of it on the spot
    wait_for(lambda: not lives(child), seconds=4)
    assert parent.communicate() == ("", "")


def test_ctrl_c_reaches_the_child_as_a_request_to_save(tmp_path: Path) -> None:
    parent, file = start_parent(tmp_path, "survive", "report=keep_going", ("tasks.preload",))
    child = pids(file)[0]
    os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, errors = parent.communicate(timeout=30)
    assert file.with_suffix(".saved").exists()
    assert not lives(child)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1, f"only the parent may speak of it: {errors}"
