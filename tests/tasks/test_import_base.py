from __future__ import annotations

from pathlib import Path

import pytest

from tasks import tracking
from tasks.import_base import import_base


def test_a_directory_is_filed_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(b"")
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


def test_pickled_weights_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no weights in safetensors.*save_pretrained"):
        import_base.fn(str(tmp_path), "run")


def test_a_directory_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no directory"):
        import_base.fn(str(tmp_path / "nowhere"), "run")
