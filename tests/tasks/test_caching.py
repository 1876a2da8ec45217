from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.compute import ComputeConfig
from configs.finetuning import FinetuningConfig
from configs.model import ModelConfig
from configs.optimization import OptimizationConfig
from configs.pretraining import PretrainingConfig
from tasks import code_digest
from tasks.artifacts import Tokens
from tasks.caching import content_key


def test_pretraining_rests_on_its_step_and_not_on_evaluation() -> None:
    beneath = code_digest.modules_beneath(("lm_modules.training.pretraining",))
    assert {"lm_modules.training.pretraining_module", "lm_modules.training.pretraining_state"} <= set(beneath)
    assert not [each for each in beneath if each.startswith(("lm_modules.evaluation", "lm_modules.heads"))]


def test_evaluation_rests_on_every_head() -> None:
    assert "lm_modules.heads.sequence_classification" in code_digest.modules_beneath(
        ("lm_modules.evaluation.evaluate",)
    )


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A package of two modules; called with the source of the lower one, it returns the digest of the upper one."""
    package = tmp_path / "toy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "upper.py").write_text("def work():\n    from toy.lower import one\n    return one()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(code_digest, "FOLLOWED", ("toy",))

    def digest(lower: str) -> str:
        (package / "lower.py").write_text(lower)
        for each in (code_digest.code_digest, code_digest._imports, code_digest._source, code_digest._root):
            each.cache_clear()
        return code_digest.code_digest(("toy.upper",))

    return digest


def test_digest_changes_with_code_beneath_and_not_with_its_words(toy: Callable[[str], str]) -> None:
    first = toy('def one():\n    """Return one."""\n    return 1\n')
    assert toy('def one():\n    """Return 1."""\n    # the number\n    return 1\n') == first
    assert toy("def one():\n    return 2\n") != first


def _pretraining(compute: ComputeConfig, width: int = 64) -> PretrainingConfig:
    optimization = OptimizationConfig(budget_steps=2)
    return PretrainingConfig(model=ModelConfig(width=width), optimization=optimization, compute=compute)


def test_key_follows_settings_digests_and_code_alone() -> None:
    def key(compute: ComputeConfig | None = None, digest: str = "a", run_id: str = "1", width: int = 64) -> str:
        tokens = Tokens(uri=f"runs:/{run_id}/tokens", digest=digest, run_id=run_id, facts={"seconds": run_id})
        inputs = {"config": _pretraining(compute or ComputeConfig(), width), "tokens": tokens, "run_id": run_id}
        return content_key("pretrain", inputs, ("lm_modules.training.pretraining",))

    assert key() == key(run_id="2")
    assert key() == key(ComputeConfig(checkpoint_every_steps=7, keep_checkpoints=1, threads=1))
    assert key() != key(ComputeConfig(precision="bf16"))
    assert key() != key(digest="b")
    assert key() != key(width=128)


def test_how_often_a_fine_tuning_is_saved_changes_no_key() -> None:
    def key(**compute: Any) -> str:
        return content_key("finetune", {"config": FinetuningConfig(compute=compute)}, ())

    assert key() == key(checkpoint_every_minutes=1, devices=2)
    assert key() != key(precision="bf16")
