"""Training on two ranks in the child process in which pipelines train."""

import os
import threading
import time

import psutil
import pytest
from tiny_models import save_labelled, save_llama
from tiny_pretraining import tiny_config

from configs.finetuning import FinetuningConfig
from lm_modules.training import checkpoints
from tasks.processes import Cancelled, ChildDied, run_isolated


def train(text, workdir, report, **options):
    config = tiny_config(compute__devices=2, compute__progress_every_seconds=0.0)
    arguments = {"config": config, "tokens": text[0], "tokenizer": text[1], "workdir": workdir, "seed": 3}
    log = workdir / "log.txt"
    function = "lm_modules.training.pretraining:pretrain"
    return run_isolated(function, arguments, name="pretraining", report=report, threads=1, log=log, **options)


def processes_of_training(workdir):
    """Return the processes that write to the log of this run."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            target = os.readlink(f"/proc/{process.pid}/fd/1")
        except OSError:
            continue
        if target == str(workdir / "log.txt"):
            found.add(process)
    return found


def wait_until_gone(processes):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(each.is_running() for each in processes):
        time.sleep(0.05)
    return [each for each in processes if each.is_running()]


@pytest.mark.slow
def test_killing_the_child_ends_its_ranks_and_the_next_goes_on(text, tmp_path):
    seen = set()

    def kill_at_8(step, values):
        if step == 8 and not seen:
            seen.update(processes_of_training(tmp_path))
            leader = next(each for each in seen if os.getpgid(each.pid) == each.pid)
            leader.kill()
        return False

    with pytest.raises(ChildDied, match="SIGKILL"):
        train(text, tmp_path, kill_at_8)
    assert len(seen) >= 2
    assert not wait_until_gone(seen)
    assert train(text, tmp_path, lambda step, values: False)["resumed_from_step"] == 6


@pytest.mark.slow
def test_a_cancelled_child_saves_and_ends_with_its_ranks(text, tmp_path):
    cancelled, seen = threading.Event(), set()

    def cancel_at_8(step, values):
        if step == 8:
            seen.update(processes_of_training(tmp_path))
            cancelled.set()
        time.sleep(0.05)
        return False

    with pytest.raises(Cancelled):
        train(text, tmp_path, cancel_at_8, cancelled=cancelled)
    assert not wait_until_gone(seen)
    saved = checkpoints.newest(tmp_path / "checkpoints")
    assert checkpoints.step_of(saved) >= 8


@pytest.mark.slow
def test_a_cancelled_fine_tuning_ends_with_its_ranks_and_goes_on(tmp_path):
    base, data = save_llama(tmp_path / "base"), save_labelled(tmp_path / "data")
    config = FinetuningConfig(
        dropout=0.0,
        context_length=32,
        compute={"devices": 2, "accelerator": "cpu", "precision": "float32"},
        optimization={"learning_rate": 1e-3, "layer_decay": 1.0, "epochs": 4, "batch_examples": 16},
    )
    cancelled, seen, steps = threading.Event(), set(), []

    def finetune(report, **options):
        arguments = {"config": config, "base": base, "data": data, "workdir": tmp_path, "seed": 3}
        function, log = "lm_modules.training.finetuning:finetune", tmp_path / "log.txt"
        return run_isolated(function, arguments, name="trial", report=report, threads=1, log=log, **options)

    def cancel_at_6(step, values):
        if step == 6:
            seen.update(processes_of_training(tmp_path))
            cancelled.set()
        return False

    def note(step, values):
        steps.append(step)
        return False

    with pytest.raises(Cancelled):
        finetune(cancel_at_6, cancelled=cancelled)
    assert len(seen) >= 3  # a fork server among them
    assert not wait_until_gone(seen)
    assert finetune(note)["steps"] == 24
    assert min(steps) > 6
