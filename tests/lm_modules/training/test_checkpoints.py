import logging

import pytest
import torch

from lm_modules.training import checkpoints


def write(directory, step, value=1.0):
    tensors = {"model": {"weight": torch.full((64,), value)}, "optimizer": {"weight.step": torch.tensor(float(step))}}
    return checkpoints.save(directory, step, tensors, {"step": step})


def test_a_checkpoint_gives_back_what_was_saved(tmp_path):
    path = write(tmp_path, 7, value=0.1)
    assert checkpoints.newest(tmp_path) == path
    assert checkpoints.read_state(path) == {"step": 7}
    assert torch.equal(checkpoints.read_tensors(path, "model")["weight"], torch.full((64,), 0.1))


def test_no_checkpoint_is_none(tmp_path):
    assert checkpoints.newest(tmp_path / "nothing") is None


def flip_a_bit(path):
    content = bytearray((path / "model.safetensors").read_bytes())
    content[-3] ^= 1
    (path / "model.safetensors").write_bytes(content)


def cut_off(path):
    content = (path / "optimizer.safetensors").read_bytes()
    (path / "optimizer.safetensors").write_bytes(content[:-10])


def lose_the_state(path):
    (path / "state.json").unlink()


def lose_the_manifest(path):
    (path / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [flip_a_bit, cut_off, lose_the_state, lose_the_manifest])
def test_a_damaged_checkpoint_is_named_and_passed_over(tmp_path, caplog, damage):
    good, bad = write(tmp_path, 10), write(tmp_path, 200)
    damage(bad)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.newest(tmp_path) == good
    assert str(bad) in caplog.text


def test_only_the_newest_are_kept_and_leftovers_are_swept(tmp_path):
    for step in (1, 2, 10):
        write(tmp_path, step)
    (tmp_path / ".step-00000011.123").mkdir()
    checkpoints.keep_newest(tmp_path, 2, step=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000010"]


def test_a_damaged_one_that_was_passed_over_does_not_push_out_the_new_ones(tmp_path):
    for step in (60, 20):
        write(tmp_path, step)
    checkpoints.keep_newest(tmp_path, 1, step=20)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000020"]


def test_a_write_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    good = write(tmp_path, 1)

    def no_space(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "to_disk", no_space)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, 2)
    assert list(tmp_path.iterdir()) == [good]
