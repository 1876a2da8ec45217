import logging
from pathlib import Path

import pytest
import torch
from tiny_pretraining import tiny_config

from configs.component import members
from configs.compute import ComputeConfig
from lm_modules.hardware.peak import TERA, Peak
from lm_modules.training import checkpoints, compilation
from lm_modules.training.pretraining import Interrupted, pretrain
from lm_modules.training.trainer import has_compiler

AUTO = ComputeConfig(accelerator="cpu")
PEAK = Peak(1 * TERA, "an example")
SECONDS = compilation.COMPILE_SECONDS / compilation.USUAL_GAIN
"""The training time that is just as long with compiling as without."""


def run(text, workdir, report=None, **changes):
    arguments = {} if report is None else {"report": report}
    return pretrain(tiny_config(**changes), tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, **arguments)


@pytest.fixture
def _some_compiler(tmp_path, monkeypatch):
    (tmp_path / "g++").write_text("#!/bin/sh\n")
    (tmp_path / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(("part", "wanted"), [(0.9, False), (1.1, True)])
@pytest.mark.usefixtures("_some_compiler")
def test_auto_compiles_a_budget_that_repays_it_and_says_the_numbers(part, wanted):
    flops = part * SECONDS * PEAK.flops_per_second * compilation.USUAL_UTILIZATION["cpu"]
    choice = compilation.choose(AUTO, PEAK, flops)
    assert choice.wanted is wanted
    assert f"take about {part * SECONDS:,.0f} s" in choice.reason
    assert "1 TFLOP/s (an example)" in choice.reason
    assert f"takes about {compilation.COMPILE_SECONDS:.0f} s" in choice.reason
    assert compilation.choose(AUTO, PEAK, None, part * SECONDS).wanted is wanted


@pytest.mark.usefixtures("_some_compiler")
def test_a_setting_is_followed_whatever_the_budget():
    assert compilation.choose(ComputeConfig(compile=True), PEAK, 1.0).wanted
    assert not compilation.choose(ComputeConfig(compile=False), PEAK, 1e30).wanted


def test_without_a_compiler_auto_does_without_and_a_setting_is_refused(text, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    choice = compilation.choose(AUTO, PEAK, 1e30)
    assert not choice.wanted
    assert "install g++" in choice.reason
    with pytest.raises(ValueError, match=r"needs a C\+\+ compiler.*install g\+\+ or set compile to false"):
        run(text, tmp_path, compute__compile=True)


def test_a_resumed_run_goes_on_as_it_began_unless_it_is_set():
    assert compilation.resumed(ComputeConfig(), before=True).wanted
    assert not compilation.resumed(ComputeConfig(), before=False).wanted
    changed = compilation.resumed(ComputeConfig(compile=False), before=True)
    assert not changed.wanted
    assert "the run began compiled" in changed.reason


def test_the_log_says_what_was_chosen_and_why(text, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        result = run(text, tmp_path, optimization__budget_steps=2)
    assert result["compiled"] is False
    assert "compile false: " in caplog.text
    assert "compiling saves about 0 s" in caplog.text
    assert "precision float32: as set" in caplog.text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler trips over warnings of its own
@pytest.mark.skipif(not has_compiler(), reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_every_objective_learns_the_same_when_compiled_and_resumes_compiled(text, tmp_path, kind, monkeypatch):
    torch._dynamo.reset()
    changes = {"objective": kind, "optimization__budget_steps": 6, "compute__progress_every_seconds": 0.0}
    plain = run(text, tmp_path / "plain", **changes, compute__compile=False)
    monkeypatch.setattr(compilation, "COMPILE_SECONDS", 0.0)
    whole = run(text, tmp_path / "whole", **changes)
    assert whole["compiled"]
    assert not plain["compiled"]
    assert whole["validation_loss_nats"] == pytest.approx(plain["validation_loss_nats"], abs=1e-4)
    with pytest.raises(Interrupted):
        run(text, tmp_path / "cut", lambda step, values: step >= 3, **changes)
    monkeypatch.setattr(compilation, "COMPILE_SECONDS", 1e9)  # a new run would not
    resumed = run(text, tmp_path / "cut", **changes)
    assert resumed["compiled"]
    one, other = (checkpoints.read_tensors(Path(each["checkpoint"]), "model") for each in (resumed, whole))
    for name in one:
        assert torch.equal(one[name], other[name]), name
