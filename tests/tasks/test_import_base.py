from __future__ import annotations

from pathlib import Path

import pytest

from tasks import tracking
from tasks.import_base import import_base


def test_a_directory_is_filed_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    monkeypatch.setenv("HOME", str(tmp_path))
    filed = []
    for key in ("first", "second"):
        with tracking.open_run("finetune", experiment="import", key=key) as run:
            filed.append(import_base.fn("~/model", run.id))
    assert filed[0] == filed[1]
    assert (filed[1].local() / "config.json").read_text() == "{}"
    (directory / "config.json").write_text("{ }")
    with tracking.open_run("finetune", experiment="import", key="third") as run:
        assert import_base.fn(str(directory), run.id).run_id == run.id


def test_a_directory_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no directory"):
        import_base.fn(str(tmp_path / "nowhere"), "run")
