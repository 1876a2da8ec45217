import pytest
import torch
from pydantic import ValidationError
from tiny_pretraining import make_tokens, tiny_config

from configs.compute import ComputeConfig
from lm_modules.training import checkpoints
from lm_modules.training.going_back import GOOD
from lm_modules.training.pretraining import pretrain
from lm_modules.training.retention import VALIDATION_LOSS, Retention


def write(directory, step, loss=None, good=True):
    tensors = {"model": {"weight": torch.full((4,), float(step))}}
    return checkpoints.save(directory, step, tensors, {VALIDATION_LOSS: loss, GOOD: good})


def steps_in(directory):
    return [checkpoints.step_of(path) for path in checkpoints.listed(directory)]


def test_the_last_every_so_many_and_the_best_stay(tmp_path):
    losses = {1: 5.0, 2: 2.0, 3: None, 4: 3.0, 5: 2.5, 6: None, 7: 4.0, 8: 4.5}
    for step, loss in losses.items():
        write(tmp_path, step, loss)
    Retention(last=2, every_steps=3, best=2).apply(tmp_path, 8)
    assert steps_in(tmp_path) == [2, 3, 5, 6, 7, 8]
    Retention(last=1).apply(tmp_path, 8)
    assert steps_in(tmp_path) == [8]


def test_leftovers_and_what_was_passed_over_go(tmp_path):
    for step in (3, 60):
        write(tmp_path, step, 1.0)
    (tmp_path / ".step-00000061.123").mkdir()
    Retention(last=3, every_steps=60, best=3).apply(tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def test_the_last_good_one_stays(tmp_path):
    for step in (1, 2, 3, 4, 5):
        write(tmp_path, step, good=step < 4)
    (tmp_path / "step-00000003" / "model.safetensors").write_bytes(b"")
    Retention(last=1).apply(tmp_path, 5)
    assert steps_in(tmp_path) == [2, 5]
    write(tmp_path, 6)
    Retention(last=1).apply(tmp_path, 6)
    assert steps_in(tmp_path) == [6]


@pytest.mark.parametrize(("last", "stay"), [(1, [4]), (2, [4]), (3, [3, 4])])
def test_room_is_made_by_one_less_of_the_last(tmp_path, last, stay):
    for step in (1, 2, 3, 4):
        write(tmp_path, step)
    Retention(last=last).make_room(tmp_path, 5)
    assert steps_in(tmp_path) == stay


def test_a_damaged_or_bad_one_does_not_count_where_room_is_made(tmp_path):
    for step in (1, 2, 3, 4):
        write(tmp_path, step, good=step != 3)
    (tmp_path / "step-00000004" / "model.safetensors").write_bytes(b"")
    Retention(last=2).make_room(tmp_path, 5)
    assert steps_in(tmp_path) == [2, 3]


def test_a_loss_is_wanted_while_it_is_among_the_best(tmp_path):
    for step, loss in ((1, 3.0), (2, None), (3, 2.0)):
        write(tmp_path, step, loss)
    assert Retention(last=1, best=3).wants(tmp_path, 9.0)
    assert Retention(last=1, best=2).wants(tmp_path, 2.9)
    assert not Retention(last=1, best=2).wants(tmp_path, 3.1)
    assert not Retention(last=1, best=3).wants(tmp_path, float("nan"))
    assert not Retention(last=1).wants(tmp_path, 0.0)


def test_a_damaged_state_is_none_of_the_best(tmp_path):
    write(tmp_path, 1, 3.0)
    (write(tmp_path, 2, 1.0) / "state.json").write_text("{")
    Retention(last=1, best=1).apply(tmp_path, 2)
    assert steps_in(tmp_path) == [1, 2]


def test_steps_beyond_eight_digits_keep_their_order(tmp_path):
    for step in (99_999_999, 100_000_000):
        write(tmp_path, step)
    assert checkpoints.step_of(checkpoints.newest(tmp_path)) == 100_000_000


def test_a_run_keeps_what_is_asked_for_and_ends_with_the_same_weights(tmp_path):
    torch.set_num_threads(1)
    tokens, tokenizer = make_tokens(tmp_path)
    seen = {}

    def report(step, values):
        seen.update({step: values["validation/loss"]} if "validation/loss" in values else {})
        return False

    def run(workdir, **compute):
        # a rate at which the loss rises again and again
        config = tiny_config(
            optimization__learning_rate=8.0,
            validation_every_steps=2,
            **{f"compute__{name}": value for name, value in compute.items()},
        )
        result = pretrain(config, tokens=tokens, tokenizer=tokenizer, workdir=workdir, seed=3, report=report)
        return (
            workdir / "checkpoints",
            checkpoints.read_tensors(workdir / "checkpoints" / "step-00000024", "model"),
            result,
        )

    _, plain, _ = run(tmp_path / "plain")
    directory, kept, _ = run(tmp_path / "kept", keep_checkpoints=1, keep_every_steps=12, keep_best=2)
    best = sorted(seen, key=seen.get)[:2]
    assert steps_in(directory) == sorted({12, 24, *best})
    assert any(step % 6 for step in best)  # one at which nothing was saved otherwise
    for step in best:
        state = checkpoints.read_state(directory / checkpoints.step_name(step))
        assert state[VALIDATION_LOSS] == seen[step]
    assert all(torch.equal(kept[name], plain[name]) for name in plain)


def test_steps_at_which_nothing_is_saved_cannot_be_kept():
    with pytest.raises(ValidationError, match=r"keep_every_steps 250 is not a multiple .* 100; take 200"):
        ComputeConfig(keep_every_steps=250)
