"""Training that is killed again and again, in its steps and in its writing, ends with the same bits.

pytest tests/faults --kills 10      every objective, on 0 and 2 makers of batches, killed 10 times
"""

import hashlib
import os
import random
import shutil
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest
from killed_training import Attempt, Kill, attempt
from tiny_pretraining import tiny_config

from configs.component import members
from lm_modules.training import checkpoints
from lm_modules.training.pretraining import pretrain

STEPS, SAVED_EVERY = 12, 3


def settings(kind, **compute):
    return tiny_config(
        objective=kind,
        optimization__budget_steps=STEPS,
        validation_every_steps=4,
        compute__checkpoint_every_steps=SAVED_EVERY,
        compute__progress_every_seconds=0.0,
        **{f"compute__{name}": value for name, value in compute.items()},
    )


def training(config, text, workdir):
    return partial(pretrain, config, tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3)


@dataclass(frozen=True)
class Whole:
    """A run that was left alone."""

    attempt: Attempt
    state: dict[str, str]

    @property
    def events_of_a_save(self):
        return self.attempt.events // (STEPS // SAVED_EVERY)


@pytest.fixture(scope="module")
def undisturbed(text, tmp_path_factory):
    """Return a run of an objective, made once."""
    known = {}

    def of(kind, devices):
        if (kind, devices) not in known:
            workdir = tmp_path_factory.mktemp(f"{kind}-whole")
            done = attempt(training(settings(kind, devices=devices), text, workdir), workdir)
            known[kind, devices] = Whole(done, end_of(done))
        return known[kind, devices]

    return of


def end_of(done):
    """Return what a run has come to: digests of its tensors, and its figures but the times."""
    files = sorted(Path(done.result["checkpoint"]).glob("*.safetensors"))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    steady = ("steps", "tokens_seen", "train_loss_nats", "validation_loss_nats", "validation_bits_per_byte")
    assert set(digests) == {"model.safetensors", "optimizer.safetensors"}
    return digests | {name: done.result[name] for name in steady}


def a_kill(draw, saved_step, whole):
    """Choose a moment within the next steps: any, or one in the writing of the next checkpoint."""
    if draw.random() < 0.5:
        next_save = saved_step - saved_step % SAVED_EVERY + SAVED_EVERY
        return Kill(next_save, before_event=draw.randint(1, whole.events_of_a_save))
    step = draw.randint(saved_step + 1, min(saved_step + 1 + SAVED_EVERY, STEPS))
    return Kill(step, delay_seconds=draw.uniform(0, 1.5 * whole.attempt.seconds_per_step))


def saved_step_of(workdir):
    found = checkpoints.newest(workdir / "checkpoints")
    return checkpoints.step_of(found) if found else 0


def children_of_the_fork_server():
    return set(psutil.Process(forkserver._forkserver._forkserver_pid).children(recursive=True))


def assert_killed_runs_end_alike(kind, kills, text, workdir, undisturbed, *, devices=1, data_workers=0):
    seed = int(os.environ.get("KILL_SEED", 0)) or random.SystemRandom().randrange(1, 2**31)
    draw, whole, story = random.Random(seed), undisturbed(kind, devices), [f"KILL_SEED={seed}"]
    before = children_of_the_fork_server()
    train = training(settings(kind, devices=devices, data_workers=data_workers), text, workdir)
    left, too_late = kills, 0
    try:
        while left:
            shutil.rmtree(workdir, ignore_errors=True)
            while left and (saved_step := saved_step_of(workdir)) < STEPS:
                kill = a_kill(draw, saved_step, whole)
                story.append(f"from step {saved_step}: {kill}")
                if attempt(train, workdir, kill).result is None:
                    left -= 1
                else:  # it ended before its moment came
                    too_late += 1
                    story.append("ended before that")
                    assert too_late <= 10 * kills, "most runs end before they are killed"
            assert end_of(attempt(train, workdir)) == whole.state
    except BaseException as error:
        error.add_note("\n".join(story))
        raise
    deadline = time.monotonic() + 10
    while children_of_the_fork_server() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children_of_the_fork_server() == before


@pytest.mark.parametrize("data_workers", [0, 2])
@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_a_run_that_is_killed_ends_with_the_same_bits(kind, data_workers, kills, text, tmp_path, undisturbed):
    assert_killed_runs_end_alike(kind, kills, text, tmp_path / "run", undisturbed, data_workers=data_workers)


def test_two_ranks_that_are_killed_end_with_the_same_bits(kills, text, tmp_path, undisturbed):
    assert_killed_runs_end_alike("causal_lm", kills, text, tmp_path / "run", undisturbed, devices=2)


def test_a_kill_before_everything_that_a_save_does_to_its_files(text, tmp_path, undisturbed):
    whole = undisturbed("causal_lm", 1)
    assert whole.events_of_a_save >= 8
    for event in range(1, whole.events_of_a_save + 1):
        workdir = tmp_path / str(event)
        train = training(settings("causal_lm"), text, workdir)
        assert attempt(train, workdir, Kill(2 * SAVED_EVERY, before_event=event)).result is None
        assert saved_step_of(workdir) in (SAVED_EVERY, 2 * SAVED_EVERY)
        assert end_of(attempt(train, workdir)) == whole.state, event
