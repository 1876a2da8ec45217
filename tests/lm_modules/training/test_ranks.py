"""Several ranks train what one would, end together, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from operator import truediv
from pathlib import Path

import psutil
import pytest
import torch
from tiny_pretraining import tiny_config

from configs.component import members
from configs.compute import ComputeConfig
from lm_modules.training import checkpoints
from lm_modules.training.followers import FollowerDied, FollowerFailed
from lm_modules.training.pretraining import Interrupted, pretrain
from lm_modules.training.pretraining_module import Diverged
from lm_modules.training.ranks import Ranks, train_together

EVERY_STEP = {"compute__progress_every_seconds": 0.0}


def run(text, workdir, report=None, **changes):
    arguments = {} if report is None else {"report": report}
    return pretrain(tiny_config(**changes), tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, **arguments)


def curve(text, workdir, **changes):
    """Return every loss and part of it that was reported, by step and name."""
    seen = {}

    def note(step, values):
        seen.update({(step, name): value for name, value in values.items() if is_of_the_model(name)})
        return False

    run(text, workdir, note, **EVERY_STEP, **changes)
    return seen


UNSTEADY = ("train/tokens_per_second", "train/mfu", "train/data_wait_fraction", "train/gradient_norm")


def is_of_the_model(name):
    return name.startswith(("train/", "validation/")) and name not in UNSTEADY


def weights(checkpoint):
    return checkpoints.read_tensors(Path(checkpoint), "model")


def assert_equal_bits(one, other):
    assert set(one) == set(other)
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_the_loss_curve_does_not_depend_on_the_cut_of_the_batch(text, tmp_path, kind):
    whole = curve(text, tmp_path / "8x1", objective=kind)
    assert len({step for step, _ in whole}) == 24
    cut = {
        "2x4": curve(text, tmp_path / "2x4", objective=kind, optimization__micro_batch_rows=4),
        "8x1": curve(text, tmp_path / "1x8", objective=kind, optimization__micro_batch_rows=1),
        "two ranks": curve(text, tmp_path / "ranks", objective=kind, compute__devices=2),
    }
    for name, losses in cut.items():
        assert losses == pytest.approx(whole, rel=1e-5), name
    # Two ranks add up the same two halves as two micro-batches do.
    assert_equal_bits(*(weights(next((tmp_path / each / "checkpoints").glob("*24"))) for each in ("2x4", "ranks")))


class Unreadable:
    """What another process cannot make again from what it is sent."""

    def __reduce__(self):
        return truediv, (1, 0)


def test_a_rank_that_fails_before_its_work_begins_is_told_at_once():
    with (
        pytest.raises(FollowerFailed, match=r"rank 1 failed: (.|\n)*ZeroDivisionError"),
        train_together(ComputeConfig(devices=2, accelerator="cpu"), Unreadable()),
    ):
        pytest.fail("the ranks did not come together")


def test_ranks_share_rows_that_cannot_be_divided_equally(text, tmp_path):
    assert [Ranks(rank, 3).share(8) for rank in range(3)] == [(0, 2), (2, 5), (5, 8)]
    whole = curve(text, tmp_path / "one", optimization__budget_steps=6)
    assert curve(text, tmp_path / "three", optimization__budget_steps=6, compute__devices=3) == pytest.approx(
        whole, rel=1e-5
    )


def test_more_ranks_than_rows_are_refused(text, tmp_path):
    with pytest.raises(ValueError, match=r"compute\.devices 2 exceeds the 1 rows.*batch_tokens to 64"):
        run(text, tmp_path, compute__devices=2, optimization__batch_tokens=32)


def test_a_run_goes_on_with_another_number_of_ranks(text, tmp_path):
    whole = curve(text, tmp_path / "whole")
    seen = {}

    def until_10(step, values):
        seen.update({(step, name): value for name, value in values.items() if is_of_the_model(name)})
        return step == 10

    def to_the_end(step, values):
        seen.update({(step, name): value for name, value in values.items() if is_of_the_model(name)})
        return False

    with pytest.raises(Interrupted, match="after step 10 of 24"):
        run(text, tmp_path / "run", until_10, **EVERY_STEP)
    result = run(text, tmp_path / "run", to_the_end, **EVERY_STEP, compute__devices=2)
    assert result["resumed_from_step"] == 10
    assert seen == pytest.approx(whole, rel=1e-5)


def test_a_budget_in_minutes_is_the_same_for_all_ranks(text, tmp_path):
    changes = {"optimization__budget_steps": None, "optimization__budget_minutes": 3e-3}
    result = run(text, tmp_path, compute__devices=2, **changes)
    assert result["steps"] >= 1
    assert result["validation_loss_nats"] < 6


def test_ranks_go_back_together_when_training_diverges(text, tmp_path):
    with pytest.raises(Diverged, match="lower optimization"):
        run(text, tmp_path, optimization__learning_rate=1e300, compute__devices=2)


def started_here():
    """Return the processes that the fork server of this process has started."""
    return {each for each in psutil.Process().children(recursive=True) if "forkserver" in " ".join(each.cmdline())}


def test_a_rank_that_dies_ends_the_run_with_its_name(text, tmp_path):
    run(text, tmp_path / "warm", optimization__budget_steps=1, compute__devices=2)  # the fork server is there
    before = started_here()

    def kill_the_other(step, values):
        if step == 15:
            (other,) = started_here() - before
            other.kill()
        return False

    with pytest.raises(FollowerDied, match="rank 1 was ended by SIGKILL; the same command continues"):
        run(text, tmp_path / "run", kill_the_other, **EVERY_STEP, compute__devices=2)
    assert started_here() == before
    assert run(text, tmp_path / "run", compute__devices=2)["resumed_from_step"] == 12


def fail(ranks):
    raise ValueError(f"rank {ranks.rank} refuses")


def test_what_another_rank_refuses_is_told():
    with (
        pytest.raises(ValueError, match="rank 1 refuses"),
        train_together(ComputeConfig(accelerator="cpu", devices=2), fail) as ranks,
    ):
        ranks.any(False)


PROGRAM = """
import sys, time
from pathlib import Path
from tiny_pretraining import tiny_config
from lm_modules.training.pretraining import pretrain

def report(step, values):
    if "train/loss" in values:
        Path(sys.argv[2], "step").write_text(str(step))
        time.sleep(0.05)
    return False

if __name__ == "__main__":
    config = tiny_config(compute__progress_every_seconds=0.0, compute__devices=2,
                         compute__data_workers=int(sys.argv[3]))
    result = pretrain(config, tokens=Path(sys.argv[1], "tokens"), tokenizer=Path(sys.argv[1], "tokenizer"),
                      workdir=Path(sys.argv[2]), seed=3, report=report)
    print(str(result["train_loss_nats"]) + chr(10), end="")  # in one piece: two ranks may write at once
"""


def start(text, workdir, *launcher, data_workers=0):
    workdir.mkdir()
    (workdir / "program.py").write_text(textwrap.dedent(PROGRAM))
    paths = [str(Path(__file__).parents[2] / "support"), str(Path(__file__).parents[3])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    arguments = [str(workdir / "program.py"), str(text[0].parent), str(workdir), str(data_workers)]
    command = [sys.executable, *launcher, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(process, workdir, step):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        with suppress(OSError, ValueError):
            if int((workdir / "step").read_text()) >= step:
                return
        time.sleep(0.02)
    raise AssertionError(f"step {step} was not reached")


@pytest.mark.slow
def test_nothing_outlives_a_killed_run(text, tmp_path):
    process = start(text, tmp_path / "run", data_workers=1)
    wait_for_step(process, tmp_path / "run", 3)
    others = psutil.Process(process.pid).children(recursive=True)
    assert len(others) >= 4  # a fork server, rank 1, and a maker of batches for each rank
    process.send_signal(signal.SIGKILL)
    process.communicate()
    gone, alive = psutil.wait_procs(others, timeout=10)
    assert not alive
    assert len(gone) == len(others)


@pytest.mark.slow
def test_sigterm_ends_all_ranks_with_a_checkpoint(text, tmp_path):
    process = start(text, tmp_path / "run")
    wait_for_step(process, tmp_path / "run", 8)
    others = psutil.Process(process.pid).children(recursive=True)
    for each in (process, *others):  # as a cluster does, that ends a job
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            each.send_signal(signal.SIGTERM)
    _, complaint = process.communicate(timeout=60)
    assert "Interrupted: stopped in order after step" in complaint
    assert not psutil.wait_procs(others, timeout=10)[1]
    saved = checkpoints.newest(tmp_path / "run" / "checkpoints")
    assert checkpoints.read_state(saved)["step"] >= 8


@pytest.mark.slow
def test_torchrun_may_start_the_ranks(text, tmp_path):
    process = start(text, tmp_path / "run", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    told, complaint = process.communicate(timeout=120)
    assert process.returncode == 0, complaint
    losses = {float(line) for line in told.split()}
    assert losses == {run(text, tmp_path / "here", compute__devices=2)["train_loss_nats"]}
