from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from configs.base import Config
from configs.yaml_files import read_value
from tasks import artifact_cache, filing, tracking
from tasks.artifacts import LabelledData
from tasks.digests import digest_directory

EXPERIMENT = "tracking"

HELD = """
import sys
from tasks import filing, tracking
with tracking.open_run("work", experiment="tracking", key=sys.argv[1]) as run:
    print(run.id, flush=True)
    sys.stdin.read()
"""


class Settings(Config):
    learning_rate: float = 0.1
    layers: tuple[dict[str, int], ...] = ({"width": 8}, {"width": 16})
    text: str = "x" * 400


def _open(key: str, parent: str | None = None):
    return tracking.open_run("work", experiment=EXPERIMENT, key=key, parent=parent, tags={"colour": "red"})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("first line\nsecond line"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(1), "KILLED"),
    ],
)
def test_the_status_tells_how_the_work_ended(error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), _open(f"ends {status}") as run:
        raise error
    info = tracking.run_info(run.id)
    assert info["status"] == status
    assert info["tags"]["rootstock.error"].startswith(type(error).__name__)
    assert "second" not in info["tags"]["rootstock.error"]


def test_unfinished_work_is_continued_in_its_run_and_finished_work_is_not() -> None:
    with pytest.raises(ZeroDivisionError), _open("again") as failed:
        raise ZeroDivisionError
    with _open("again") as reopened:
        assert reopened.id == failed.id
        assert tracking.run_info(reopened.id)["status"] == "RUNNING"
    info = tracking.run_info(reopened.id)
    assert info["status"] == "FINISHED"
    assert "rootstock.error" not in info["tags"]
    assert info["tags"]["colour"] == "red"
    with _open("again") as new:
        assert new.id != reopened.id


def test_a_run_is_left_to_a_living_process_and_taken_from_a_killed_one() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HELD, "held"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin
    assert holder.stdout
    with holder.stdin, holder.stdout:
        held = holder.stdout.readline().strip()
        with _open("held") as other:
            assert other.id != held
        holder.kill()
        holder.wait()
    with _open("held") as mine:
        assert mine.id == held


def test_threads_with_one_key_get_runs_of_their_own() -> None:
    ids, both = [], threading.Barrier(4)

    def work() -> None:
        with _open("threads") as run:
            both.wait(30)
            ids.append(run.id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 4


def test_settings_are_filed_whole_and_a_changed_one_is_told() -> None:
    with _open("settings") as run:
        filing.log_config(run.id, Settings())
        filing.log_config(run.id, Settings())
        filing.log_params(run.id, {"learning_rate": 0.2, **{f"p{n}": n for n in range(250)}})
    info = tracking.run_info(run.id)
    assert info["params"]["layers.1.width"] == "16"
    assert info["params"]["p249"] == "249"
    assert "text" not in info["params"]
    assert info["params"]["learning_rate"] == "0.1"
    assert info["tags"]["rootstock.changed.learning_rate"] == "0.2"
    stored = Path(tracking.client().download_artifacts(run.id, "config.yaml"))
    assert "x" * 400 in stored.read_text()


def test_filed_settings_read_back_as_the_same() -> None:
    config = Settings(text="1e5")
    with _open("read back") as run:
        filing.log_config(run.id, config)
    filed = filing.read_text(run.id, "config.yaml")
    assert filed
    assert Settings.model_validate(read_value(filed, "config.yaml")) == config


def test_data_that_a_run_used_is_found_with_it() -> None:
    data = LabelledData(uri="runs:/x/examples", digest="cd" * 32, run_id="x")
    with _open("uses data") as run:
        for _ in range(2):
            data.used_by(run.id, "train", "validation")
    used = tracking.client().get_run(run.id).inputs.dataset_inputs
    assert sorted(each.dataset.name for each in used) == ["labelleddata-train", "labelleddata-validation"]
    assert {each.dataset.digest for each in used} == {("cd" * 32)[:36]}
    assert sorted(each.tags[0].value for each in used) == ["train", "validation"]


def test_a_directory_comes_back_as_it_went_and_needs_no_download(tmp_path: Path) -> None:
    (tmp_path / "tokens" / "sub").mkdir(parents=True)
    (tmp_path / "tokens" / "train.bin").write_bytes(b"\x00\x01")
    (tmp_path / "tokens" / "sub" / "meta.json").write_text("{}")
    digest = digest_directory(tmp_path / "tokens")
    with _open("directory") as run:
        uri = filing.log_directory(run.id, tmp_path / "tokens", "tokens")
    assert artifact_cache.lookup(digest) == filing.fetch_directory(uri) == filing.fetch_directory(uri, digest)
    stored = filing.local_path(tracking.client().get_run(run.id).info.artifact_uri)
    assert stored
    cached = filing.fetch_directory(uri)
    assert (cached / "train.bin").samefile(stored / "tokens" / "train.bin"), "a link, not a second copy"
    assert filing.exists(uri)
    assert not filing.exists(f"{uri}-of-another")
    assert not filing.exists("runs:/0123456789abcdef0123456789abcdef/tokens")
    with pytest.raises(ValueError, match="not of the form"):
        filing.fetch_directory("tokens")


def test_filing_a_directory_again_leaves_nothing_of_the_first_attempt(tmp_path: Path) -> None:
    with _open("attempts") as run:
        for attempt in ("first", "second"):
            directory = tmp_path / attempt
            directory.mkdir()
            (directory / attempt).write_text(attempt)
            uri = filing.log_directory(run.id, directory, "output")
    assert [each.name for each in filing.fetch_directory(uri).iterdir()] == ["second"]
    assert [each.path for each in tracking.client().list_artifacts(run.id, "output")] == ["output/second"]


def test_children_tables_data_sets_and_figures_are_found_under_their_run() -> None:
    from matplotlib.figure import Figure

    with _open("parent") as parent:
        for name in ("one", "two"):
            with _open(name, parent=parent.id) as child:
                filing.log_metrics(child.id, {"score": len(name)}, step=3)
        filing.log_table(parent.id, [{"a": 1}, {"b": "é"}], "rows.json")
        filing.log_table(parent.id, [{"a": 1}, {"b": "é"}], "rows.json")
        filing.log_dataset(parent.id, "corpus", "ab" * 32, "training", "runs:/x/corpus")
        filing.log_figure(parent.id, Figure(), "loss.png")
    assert [each["tags"]["rootstock.key"] for each in tracking.child_runs(parent.id)] == ["one", "two"]
    assert tracking.metric_history(child.id, "score") == [(3, 3.0)]
    run = tracking.client().get_run(parent.id)
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "rows.json", "type": "table"}]
    assert run.inputs.dataset_inputs[0].dataset.name == "corpus"
    assert "loss.png" in [each.path for each in tracking.client().list_artifacts(parent.id)]
    assert tracking.run_url(parent.id) is None


def test_importing_tracking_does_not_import_mlflow() -> None:
    modules = ("tracking", "filing", "logged_models", "registry", "spool", "reconcile")
    names = ", ".join(f"tasks.{each}" for each in modules)
    code = f"import sys, {names}; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_first_use_of_a_fresh_store_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTSTOCK_HOME", str(tmp_path))
    code = "from tasks import tracking\nwith tracking.open_run('a', experiment='b', key='c'): pass"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
