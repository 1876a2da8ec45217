"""The command that is printed can be typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flows.session import _program, _try_it


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """An installed command in an environment that is not activated."""
    script = tmp_path / ".venv" / "bin" / "rootstock"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return script


def test_the_command_is_named_as_it_can_be_typed_here(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.chdir(script.parents[2])
    monkeypatch.setenv("PATH", "/nowhere")
    assert _program("run", "demo") == [".venv/bin/rootstock", "run", "demo"]
    monkeypatch.chdir(script.parent)
    assert _program() == ["./rootstock"]
    monkeypatch.chdir("/")
    assert Path(_program()[0]).samefile(script)
    monkeypatch.setenv("PATH", str(script.parent))
    assert _program("up") == ["rootstock", "up"]
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert _program("up") == [sys.executable, "-m", "flows.cli", "up"]


def test_the_language_model_of_a_run_can_be_tried(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.chdir(script.parents[2])
    monkeypatch.setenv("PATH", "/nowhere")
    expected = ["Try it: .venv/bin/rootstock generate models:/m-1 --prompt 'It is'"]
    assert _try_it({"model": {"uri": "models:/m-1"}, "samples": {"uri": "runs:/1/samples"}}) == expected
    made = {"model": "models:/m-1", "samples": "runs:/1/samples"}
    assert _try_it({"facts": {"stages": {"pretrain": {"uris": made}}}}) == expected
    # an encoder writes nothing
    assert _try_it({"model": {"uri": "models:/m-1"}, "samples": None}) == []
    assert _try_it({"facts": {"stages": {"pretrain": {"uris": {"model": "models:/m-1"}}}}}) == []
    assert _try_it({"facts": {"stages": {"finetune": {"uris": {"model": "models:/m-2"}}}}}) == []
    assert _try_it({"model": {"uri": "models:/m-2"}, "facts": {}}) == []
