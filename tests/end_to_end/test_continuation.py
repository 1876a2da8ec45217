"""A stock model in a directory, continued by the command and continued once more from what came out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from stock_bases import SENTENCE, save_base

from tasks.digests import digest_directory
from tasks.logged_models import fetch_model

pytestmark = pytest.mark.slow


def pretrain(settings: dict[str, Any], folder: Path) -> Any:
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "flows.cli", "pretrain", str(folder / "settings.yaml"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_base_is_continued_filed_reused_and_continued_again(tmp_path: Path) -> None:
    base = save_base("gpt2", tmp_path / "base")
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(60):
        (texts / f"{number}.txt").write_text(f"{number} {SENTENCE * 4}{number * 7}")
    settings: dict[str, Any] = {
        "name": "continued",
        "data_preparation": {"sources": [{"kind": "text_files", "path": str(texts)}], "filters": []},
        "tokenization": {"tokenizer": "pretrained"},
        "pretraining": {
            "base": str(base),
            "model": {"context_length": 32},
            "optimization": {"learning_rate": 3e-3, "batch_tokens": 256, "budget_steps": 10},
            "compute": {"threads": 1, "precision": "float32"},
        },
    }
    first = pretrain(settings, tmp_path)
    assert first["checkpoint"]["parents"][2] == digest_directory(base)
    assert first["model"]["facts"]["architecture"] == "GPT2LMHeadModel"
    assert first["metrics"]["begins with"] == "gpt2, as it is"
    assert first["metrics"]["validation loss"] < first["metrics"]["validation loss of the base"]

    assert pretrain(settings, tmp_path)["checkpoint"] == first["checkpoint"]

    settings["pretraining"]["base"] = first["model"]["uri"]
    second = pretrain(settings, tmp_path)
    assert second["metrics"]["validation loss of the base"] == pytest.approx(
        first["metrics"]["validation loss"], abs=1e-5
    )
    directory = fetch_model(second["model"]["uri"])
    assert (directory / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
