"""What whoever waits for a training is told of it beside its figures."""

import logging
import math

import pytest
from tiny_pretraining import tiny_config

from configs.component import members
from lm_modules.progress import NOTICE
from lm_modules.training.guessing import worse_than_guessing
from lm_modules.training.pretraining import Interrupted, pretrain
from lm_modules.training.pretraining_choices import typical_seconds
from lm_modules.training.reporting import keep_going

OBJECTIVES = members("lm_modules.objectives")


@pytest.fixture
def told(caplog):
    """Return the lines that reach the screen."""
    caplog.set_level(logging.INFO)
    return lambda: [each.getMessage() for each in caplog.records if each.levelno >= NOTICE]


def run(text, directory, report=keep_going, **changes):
    config = tiny_config(compute__progress_every_seconds=0.0, **changes)
    return pretrain(config, tokens=text[0], tokenizer=text[1], workdir=directory, seed=0, report=report)


def test_a_run_that_is_continued_says_from_which_step(text, tmp_path, told):
    with pytest.raises(Interrupted):
        run(text, tmp_path, lambda step, values: step >= 7)
    assert not told()
    run(text, tmp_path)
    (line,) = told()
    assert line.startswith(f"continuing from step 7 of 24 ({tmp_path}")


def test_the_steps_of_a_budget_in_minutes_are_told(text, tmp_path, told):
    steps = run(text, tmp_path, optimization__budget_steps=None, optimization__budget_minutes=2e-3)["steps"]
    (line,) = [each for each in told() if "fill" in each]
    assert line.startswith("a step takes ")
    assert line.endswith(f" s: {steps} steps fill 0.002 minutes")


def test_a_few_slow_steps_do_not_count_for_the_time_of_a_step():
    stamps = [5.0, 9.0]  # compilation
    for seconds in (1.0, 1.0, 30.0, 1.0, 1.1, 1.0, 8.0, 1.0):
        stamps.append(stamps[-1] + seconds)
    assert typical_seconds(stamps) == 1.0


def test_a_model_that_is_worse_than_guessing_is_no_quiet_success(text, tmp_path, told):
    # the readout is blown up from the first step on: the loss stands far above that of a uniform answer
    run(
        text,
        tmp_path,
        optimization__learning_rate=40.0,
        optimization__budget_steps=4,
        optimization__warmup_fraction=0.0,
        optimization__decay_fraction=0.0,
        optimization__spike_nats=None,
    )
    (line,) = told()
    assert line.startswith("the validation loss of ")
    assert f"is worse than guessing, which has {math.log(271):.3f}" in line


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_guessing_has_a_loss_for_every_part(kind):
    settings = (
        {"parts": {"a": {"objective": "causal_lm"}, "b": {"objective": "causal_lm"}}} if kind == "mixture" else {}
    )
    objective = OBJECTIVES[kind](**settings)
    guesses = objective.guessing(64)
    assert set(guesses) == set(objective.weights())
    assert set(guesses.values()) <= {math.log(64), math.log(2)}
    assert worse_than_guessing(objective, 64, guesses) == []
    bad = {name: nats * 2 for name, nats in guesses.items()}
    assert len(worse_than_guessing(objective, 64, bad)) == len(guesses)
    assert len(worse_than_guessing(objective, 64, dict.fromkeys(guesses, math.nan))) == len(guesses)
