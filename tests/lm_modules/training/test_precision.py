"""The number format that training takes on its own: what the machine was timed to be fast in, once and for all."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_pretraining import tiny_config

from configs.compute import ComputeConfig
from lm_modules.hardware.peak import TERA, Peak, peak
from lm_modules.training import checkpoints, trainer
from lm_modules.training.pretraining import Interrupted, pretrain
from lm_modules.training.trainer import resolve_precision

AUTO = {"compute__precision": "auto", "compute__progress_every_seconds": 0.0, "optimization__budget_steps": 8}
CPU = ComputeConfig(accelerator="cpu")
ALWAYS, NEVER = 0.0, 1e9
"""Speedups from which on bf16 is taken."""


def run(text, workdir, report=lambda step, values: False, **changes):
    config = tiny_config(**(AUTO | changes))
    return pretrain(config, tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, report=report)


def assert_equal_weights(one, other):
    mine, theirs = (checkpoints.read_tensors(Path(each["checkpoint"]), "model") for each in (one, other))
    assert set(mine) == set(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_cpu_takes_what_it_was_timed_to_be_faster_in_and_says_both_figures(caplog):
    with caplog.at_level(logging.INFO):
        chosen = resolve_precision(CPU)
    bf16, float32 = (peak(torch.device("cpu"), each) for each in ("bf16", "float32"))
    assert chosen == ("bf16" if bf16.flops_per_second >= 1.5 * float32.flops_per_second else "float32")
    assert f"precision {chosen}: {bf16} against {float32}" in caplog.text


@pytest.mark.parametrize(("ratio", "expected"), [(0.2, "float32"), (1.4, "float32"), (1.6, "bf16"), (8.0, "bf16")])
def test_bf16_must_be_half_as_fast_again(ratio, expected):
    chosen, reason = trainer._faster_precision(Peak(ratio * TERA, "one"), Peak(TERA, "other"))
    assert chosen == expected
    assert f"{ratio:g} TFLOP/s (one) against 1 TFLOP/s (other)" in reason


PROGRAM = """
import logging, torch
from configs.compute import ComputeConfig
from lm_modules.training.trainer import resolve_precision

logging.basicConfig(level=logging.INFO)
torch.set_num_threads(1)
print(resolve_precision(ComputeConfig(accelerator="cpu")))
"""


def test_a_cpu_without_bf16_is_not_kept_waiting_for_a_figure():
    old = {"ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(Path(__file__).parents[3])}  # of x86, as of about 2013
    started = time.monotonic()
    told = subprocess.run([sys.executable, "-c", PROGRAM], env=os.environ | old, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert time.monotonic() - started < 30
    assert "fastest float32 matrix product" in told.stderr
    assert f"precision {told.stdout.strip()}: " in told.stderr


@pytest.mark.parametrize(("first", "then", "precision"), [(ALWAYS, NEVER, "bf16"), (NEVER, ALWAYS, "float32")])
def test_a_resumed_run_stays_with_what_it_began_in(text, tmp_path, monkeypatch, caplog, first, then, precision):
    monkeypatch.setattr(trainer, "WORTHWHILE_SPEEDUP", first)
    whole = run(text, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(text, tmp_path / "resumed", lambda step, values: step >= 4)
    monkeypatch.setattr(trainer, "WORTHWHILE_SPEEDUP", then)
    with caplog.at_level(logging.INFO):
        resumed = run(text, tmp_path / "resumed")
    assert f"precision {precision}: as the run began" in caplog.text
    assert (whole["precision"], resumed["precision"]) == (precision, precision)
    assert_equal_weights(resumed, whole)


def test_a_setting_changes_the_precision_of_a_resumed_run_and_says_so(text, tmp_path, caplog):
    with pytest.raises(Interrupted):
        run(text, tmp_path, lambda step, values: step >= 4, compute__precision="bf16")
    with caplog.at_level(logging.INFO):
        assert run(text, tmp_path, compute__precision="float32")["precision"] == "float32"
    assert "precision float32: as set; the run began in bf16" in caplog.text


def test_all_ranks_take_what_the_first_has_chosen(text, tmp_path, monkeypatch):
    monkeypatch.setattr(
        trainer, "WORTHWHILE_SPEEDUP", NEVER
    )  # another rank is a process of its own, and times for itself
    together = run(text, tmp_path / "together", compute__devices=2)
    alone = run(text, tmp_path / "alone", compute__precision="float32", optimization__micro_batch_rows=4)
    assert together["precision"] == "float32"
    assert_equal_weights(together, alone)
