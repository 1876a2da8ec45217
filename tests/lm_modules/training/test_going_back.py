"""Steps that are no good, one after the other: the run goes back and leaves them out, and a wreck is no success."""

import logging
from pathlib import Path

import pytest
import torch
from broken_steps import no_number_at, weights_break_at
from tiny_pretraining import tiny_config

from lm_modules.training import checkpoints, pretraining_run
from lm_modules.training.pretraining import Interrupted, pretrain
from lm_modules.training.pretraining_choices import choose
from lm_modules.training.pretraining_figures import figures
from lm_modules.training.pretraining_module import Diverged
from lm_modules.training.pretraining_run import Run
from lm_modules.training.ranks import Ranks
from lm_modules.training.reporting import keep_going

EVERY_STEP = {"compute__progress_every_seconds": 0.0}


def run(text, workdir, report=lambda step, values: False, **changes):
    config = tiny_config(**(EVERY_STEP | changes))
    return pretrain(config, tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, report=report)


def steps_in(workdir):
    return [checkpoints.step_of(path) for path in checkpoints.listed(workdir / "checkpoints")]


def assert_same_end(one, other):
    for stem in ("model", "optimizer"):
        mine, theirs = (checkpoints.read_tensors(Path(each["checkpoint"]), stem) for each in (one, other))
        assert set(mine) == set(theirs)
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    steady = ("steps", "tokens_seen", "skipped_steps", "train_loss_nats", "validation_loss_nats")
    assert {name: one[name] for name in steady} == {name: other[name] for name in steady}


def test_the_steps_to_blame_are_left_out_and_the_others_done_again(text, tmp_path, monkeypatch, caplog):
    no_number_at(monkeypatch, 15, 16, 17, 18)
    with caplog.at_level(logging.WARNING):
        result = run(text, tmp_path / "back")
    assert "going back to step 12; from there on these steps are left out: 15, 16, 17, 18" in caplog.text
    assert result["skipped_steps"] == 4
    # as if they had been passed over one by one: steps 13 and 14 are not lost
    assert_same_end(result, run(text, tmp_path / "passed", optimization__max_skipped_steps=9))


@pytest.mark.parametrize("second_time", [False, True])
@pytest.mark.parametrize(
    ("first_bad", "step"), [*((15, each) for each in (13, 14, 19, 22)), *((3, each) for each in (1, 2, 7))]
)
def test_a_run_that_is_killed_on_its_way_ends_alike(text, tmp_path, monkeypatch, first_bad, step, second_time):
    no_number_at(monkeypatch, *range(first_bad, first_bad + 4))  # 3: back to the first step, for want of a checkpoint
    seen = []

    def killed(at, values):
        seen.extend([at] if "train/loss" in values else [])
        if at == step and seen.count(step) > (second_time and step < first_bad):
            raise ConnectionError
        return False

    whole = run(text, tmp_path / "whole")
    with pytest.raises(ConnectionError):
        run(text, tmp_path / "killed", killed)
    assert_same_end(run(text, tmp_path / "killed"), whole)


@pytest.mark.parametrize("step", [14, 16, 20])
def test_a_run_that_is_stopped_on_its_way_ends_alike(text, tmp_path, monkeypatch, step):
    no_number_at(monkeypatch, 15, 16, 17, 18)
    whole = run(text, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(text, tmp_path / "stopped", lambda at, values: at >= step, compute__keep_checkpoints=1)
    assert_same_end(run(text, tmp_path / "stopped", compute__keep_checkpoints=1), whole)


def test_bad_steps_in_two_places_are_left_out_both(text, tmp_path, monkeypatch):
    no_number_at(monkeypatch, 9, 10, 11, 12, 14, 15, 16, 17)
    result = run(text, tmp_path / "back")
    assert result["skipped_steps"] == 8
    assert_same_end(result, run(text, tmp_path / "passed", optimization__max_skipped_steps=9))


@pytest.mark.parametrize("changes", [{}, {"compute__checkpoint_every_steps": 100}, {"optimization__optimizer": "muon"}])
def test_before_the_first_checkpoint_it_goes_back_to_the_first_step(text, tmp_path, monkeypatch, changes, caplog):
    no_number_at(monkeypatch, 3, 4, 5, 6)
    with caplog.at_level(logging.WARNING):
        result = run(text, tmp_path / "back", **changes)
    assert "going back to the first step; from there on these steps are left out: 3, 4, 5, 6" in caplog.text
    assert result["skipped_steps"] == 4
    assert_same_end(result, run(text, tmp_path / "passed", optimization__max_skipped_steps=9, **changes))


@pytest.mark.parametrize("step", [2, 4, 5, 7])
def test_a_run_that_is_stopped_on_its_way_to_the_first_step_ends_alike(text, tmp_path, monkeypatch, step):
    no_number_at(monkeypatch, 3, 4, 5, 6)
    whole = run(text, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(text, tmp_path / "stopped", lambda at, values: at >= step)
    assert_same_end(run(text, tmp_path / "stopped"), whole)


def test_the_step_that_broke_the_weights_is_left_out_from_the_first_step_on(text, tmp_path, monkeypatch, caplog):
    weights_break_at(monkeypatch, 2)
    with caplog.at_level(logging.WARNING):
        result = run(text, tmp_path)
    assert "going back to the first step; from there on these steps are left out: 2" in caplog.text
    assert result["skipped_steps"] == 1


def test_bad_steps_behind_those_left_out_from_the_first_step_on_end_the_run_each_time(text, tmp_path, monkeypatch):
    no_number_at(monkeypatch, *range(1, 9))
    for _ in range(2):
        with pytest.raises(Diverged, match="step 8 has a loss of nan"):
            run(text, tmp_path)


def test_weights_that_are_no_numbers_from_the_beginning_end_the_run(text, tmp_path, monkeypatch):
    begin = pretraining_run.begin

    def broken(*arguments):
        network = begin(*arguments)
        next(network.parameters()).data.view(-1)[0] = torch.nan
        return network

    monkeypatch.setattr(pretraining_run, "begin", broken)
    with pytest.raises(Diverged, match="step 4 has a loss of nan"):
        run(text, tmp_path)


def test_bad_steps_among_those_that_are_timed_do_not_end_the_run(text, tmp_path, monkeypatch):
    no_number_at(monkeypatch, 1, 2, 3, 4)
    minutes = {"optimization__budget_steps": None, "optimization__budget_minutes": 3e-2}
    result = run(text, tmp_path, **minutes)
    assert result["steps"] > 5
    assert result["skipped_steps"] == 4


@pytest.mark.parametrize("every", [1, 6])
def test_bad_steps_right_behind_those_left_out_end_the_run_each_time(text, tmp_path, monkeypatch, every):
    no_number_at(monkeypatch, *range(14, 25))
    for _ in range(2):
        with pytest.raises(Diverged, match="step 21 has a loss of nan"):
            run(text, tmp_path, compute__checkpoint_every_steps=every)


@pytest.mark.parametrize("validation_every", [None, 12])
def test_bad_steps_at_the_end_are_no_success_when_the_command_is_typed_again(
    text, tmp_path, monkeypatch, validation_every
):
    no_number_at(monkeypatch, 21, 22, 23, 24)
    for _ in range(2):
        with pytest.raises(Diverged, match="step 24 has a loss of nan"):
            run(text, tmp_path, validation_every_steps=validation_every)
        assert steps_in(tmp_path) == [12, 18]


def test_broken_weights_are_not_saved_and_the_step_that_broke_them_is_left_out(text, tmp_path, monkeypatch, caplog):
    weights_break_at(monkeypatch, 13)
    with caplog.at_level(logging.WARNING):
        result = run(text, tmp_path, compute__checkpoint_every_steps=7, compute__keep_checkpoints=1)
    assert "going back to step 7; from there on these steps are left out: 13" in caplog.text
    assert result["skipped_steps"] == 1
    model = checkpoints.read_tensors(Path(result["checkpoint"]), "model")
    assert all(torch.isfinite(weight).all() for weight in model.values())


def test_an_end_that_is_asked_for_amid_broken_weights_does_not_cost_the_good_ones(text, tmp_path, monkeypatch):
    weights_break_at(monkeypatch, 13)
    settings = {"compute__checkpoint_every_steps": 7, "compute__keep_checkpoints": 1}
    whole = run(text, tmp_path / "whole", **settings)
    with pytest.raises(Interrupted, match="after step 15 of 24"):
        run(text, tmp_path / "stopped", lambda step, values: step >= 15, **settings)
    assert steps_in(tmp_path / "stopped") == [7, 15]
    assert_same_end(run(text, tmp_path / "stopped", **settings), whole)


@pytest.mark.parametrize("asked", [False, True])
def test_weights_that_break_in_the_last_step_are_no_success(text, tmp_path, monkeypatch, asked):
    weights_break_at(monkeypatch, 24)
    for _ in range(2):
        with pytest.raises(Diverged, match="the weights after step 24 are no numbers"):
            run(text, tmp_path, lambda step, values: asked and step == 24)
        assert 18 in steps_in(tmp_path)


def test_a_run_in_which_no_step_moved_the_weights_is_no_success_when_the_command_is_typed_again(
    text, tmp_path, monkeypatch
):
    no_number_at(monkeypatch, 1, 2, 3)
    for _ in range(2):
        with pytest.raises(Diverged, match="none of the 3 steps has moved the weights"):
            run(text, tmp_path, optimization__budget_steps=3, optimization__max_skipped_steps=3)


def test_a_single_step_that_moved_the_weights_is_enough(text, tmp_path, monkeypatch):
    no_number_at(monkeypatch, 1, 3)
    result = run(text, tmp_path, optimization__budget_steps=3)
    assert result["skipped_steps"] == 2
    assert result["train_loss_nats"] > 4


def test_no_training_loss_is_reported_where_there_is_none(text, tmp_path):
    begun = Run(tiny_config(), *text, tmp_path, 3, None, keep_going, Ranks())
    choose(begun)
    begun.validation.figures = {"loss": 5.0}
    assert figures(begun, None, tmp_path)["train_loss_nats"] is None
