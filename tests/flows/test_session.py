"""The command that is printed can be typed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flows.session import _program


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
