"""A disk that is full while a checkpoint is written: nothing is lost, and training goes on when there is space."""

import logging
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from limited_training import train_with_small_files
from tiny_pretraining import tiny_config

from lm_modules.training import checkpoints
from lm_modules.training.disk_space import NoSpace
from lm_modules.training.pretraining import Interrupted, pretrain

EVERY_STEP = {"compute__progress_every_seconds": 0.0}


def run(text, workdir, report=lambda step, values: False, **changes):
    return pretrain(tiny_config(**changes), tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, report=report)


@pytest.fixture(scope="module")
def undisturbed(text, tmp_path_factory):
    torch.set_num_threads(1)
    return run(text, tmp_path_factory.mktemp("undisturbed"))


def content(checkpoint):
    return {path.name: path.read_bytes() for path in Path(checkpoint).glob("*.safetensors")}


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk that has room for three checkpoints, which are 0.6 MB each."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2200k", "tmpfs", str(path)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a file system can only be mounted by root")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_full_disk_ends_the_run_and_space_continues_it(text, small_disk, undisturbed):
    filling = small_disk / "filling"

    def fill(step, values):
        if step == 8:
            free = shutil.disk_usage(small_disk).free
            filling.write_bytes(bytes(free - 100_000))
        return False

    with pytest.raises(
        NoSpace, match=r"no space for a checkpoint in .*disk/run/checkpoints .*it takes 0\.\d MB.*"
    ) as told:
        run(text, small_disk / "run", fill, **EVERY_STEP)
    assert "continues from step-00000006" in str(told.value)
    assert names_in(small_disk / "run" / "checkpoints") == ["step-00000006"]
    assert checkpoints.find_damage(small_disk / "run" / "checkpoints" / "step-00000006") is None
    filling.unlink()
    result = run(text, small_disk / "run")
    assert result["resumed_from_step"] == 6
    assert content(result["checkpoint"]) == content(undisturbed["checkpoint"])


def test_what_need_not_be_kept_makes_room(text, small_disk, undisturbed, caplog):
    with pytest.raises(Interrupted):
        run(text, small_disk / "run", lambda step, values: step == 12, **EVERY_STEP)
    directory = small_disk / "run" / "checkpoints"
    leftover = directory / ".step-00000018.4711"  # of a process that was killed in its writing
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with caplog.at_level(logging.WARNING):
        result = run(text, small_disk / "run", compute__keep_checkpoints=1)
    assert "deleting what need not be kept" in caplog.text
    assert names_in(directory) == ["step-00000024"]
    assert content(result["checkpoint"]) == content(undisturbed["checkpoint"])


def test_the_last_but_one_makes_room(text, small_disk, undisturbed, caplog):
    filling = small_disk / "filling"

    def fill(step, values):
        if step == 13:  # room for half a checkpoint beside the two that are kept
            filling.write_bytes(bytes(shutil.disk_usage(small_disk).free - 300_000))
        return False

    with caplog.at_level(logging.WARNING):
        result = run(text, small_disk / "run", fill, compute__keep_checkpoints=2, **EVERY_STEP)
    assert "deleting what need not be kept" in caplog.text
    assert names_in(small_disk / "run" / "checkpoints") == ["step-00000018", "step-00000024"]
    assert content(result["checkpoint"]) == content(undisturbed["checkpoint"])


def test_a_file_that_may_not_grow_ends_the_run_in_the_same_way(text, tmp_path, undisturbed):
    config = tiny_config(**EVERY_STEP)
    told = train_with_small_files(config, text, tmp_path, from_step=8, size_bytes=50_000)
    assert told.startswith("NoSpace: no space for a checkpoint in")
    assert told.endswith("continues from step-00000006")
    assert names_in(tmp_path / "checkpoints") == ["step-00000006"]
    result = run(text, tmp_path)
    assert result["resumed_from_step"] == 6
    assert content(result["checkpoint"]) == content(undisturbed["checkpoint"])
