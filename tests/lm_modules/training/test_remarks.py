"""Settings of the schedule that do not do what their name promises are said, and the run goes on."""

import logging

import pytest
from tiny_pretraining import tiny_config

from configs.loading import load, presets
from configs.optimization import OptimizationConfig
from lm_modules.training.pretraining import pretrain
from lm_modules.training.remarks import rate_remarks, remarks


def test_a_warmup_and_a_decay_that_overlap_are_said_with_the_peak_that_is_reached():
    config = load("shakespeare_char", ["pretraining.optimization.budget_steps=60"]).pretraining
    assert config is not None
    (remark,) = remarks(config.optimization, 60)
    # the rise (step + 1) / 50 meets the fall (60 - step) / 30 behind step 37: 38 / 50 and 23 / 30
    assert "warmup_steps 50 and a decay of 30 steps do not fit into 60: the learning rate reaches 0.76 of its" in remark


@pytest.mark.parametrize(
    ("settings", "steps", "words"),
    [
        ({"warmup_steps": 10, "decay_fraction": 0.5}, 20, []),
        ({"warmup_steps": 11, "decay_fraction": 0.5}, 20, []),
        ({"warmup_steps": 13, "decay_fraction": 0.5}, 20, ["do not fit into 20: the learning rate reaches 0.9 of"]),
        ({"warmup_steps": 40, "decay_fraction": 0.0}, 20, ["reaches 1 of its peak, in a warm-up of 20"]),
        ({"warmup_steps": 40, "schedule": "cosine"}, 20, ["reaches 1 of its peak, in a warm-up of 20"]),
        ({"warmup_steps": 20, "schedule": "linear"}, 20, []),
        ({"schedule": "cosine", "decay_fraction": 0.5}, 20, ["decay_fraction 0.5 has no effect with schedule cosine"]),
        ({"schedule": "linear"}, 20, []),
    ],
)
def test_only_what_does_not_do_what_its_name_promises_is_said(settings, steps, words):
    found = remarks(OptimizationConfig(budget_steps=steps, **settings), steps)
    assert len(found) == len(words)
    assert all(word in remark for word, remark in zip(words, found, strict=True))


@pytest.mark.parametrize("name", presets())
def test_no_preset_gives_cause_for_a_remark(name):
    config = load(name).pretraining
    if config is not None and config.optimization.budget_steps is not None:
        assert remarks(config.optimization, config.optimization.budget_steps) == []


def test_the_log_has_it_when_a_run_begins(text, tmp_path, caplog):
    config = tiny_config(optimization__budget_steps=2, optimization__warmup_steps=2, optimization__decay_fraction=1.0)
    with caplog.at_level(logging.WARNING):
        pretrain(config, tokens=text[0], tokenizer=text[1], workdir=tmp_path, seed=0)
    assert "warmup_steps 2 and a decay of 2 steps do not fit into 2" in caplog.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimization__learning_rate": 1e-3}, True),
        ({"optimization__learning_rate": 0.01}, False),
        ({"optimization__learning_rate": 1e-3, "model__parametrization": "standard"}, False),
        ({"optimization__learning_rate": 1e-3, "base": "a/model"}, False),  # to go on, a low one may be meant
    ],
)
def test_a_learning_rate_for_the_other_parametrization_is_said(changes, said):
    found = rate_remarks(tiny_config(**changes))
    assert [("0.001 is one for the standard parametrization" in each) for each in found] == [True] * said


@pytest.mark.parametrize(
    ("parametrization", "settings", "words"),
    [
        ("u_mup", {"learning_rate": 0.5, "muon_learning_rate": 0.02}, []),
        ("u_mup", {"learning_rate": 1.0}, ["learning_rate, which Muon takes too, 1 is high"]),
        ("u_mup", {"learning_rate": 1.0, "muon_learning_rate": 0.5}, ["muon_learning_rate 0.5 is high"]),
        ("standard", {"learning_rate": 0.1, "muon_learning_rate": 0.02}, []),
        ("standard", {"learning_rate": 0.5, "muon_learning_rate": 0.02}, ["learning_rate 0.5 is one for u_mup"]),
    ],
)
def test_a_high_learning_rate_with_muon_is_said(parametrization, settings, words):
    optimization = {"optimizer": "muon", "batch_tokens": 256, "budget_steps": 1, **settings}
    found = rate_remarks(tiny_config(optimization=optimization, model__parametrization=parametrization))
    assert len(found) == len(words)
    assert all(word in remark for word, remark in zip(words, found, strict=True))


@pytest.mark.parametrize("name", presets())
def test_no_preset_has_a_learning_rate_for_the_other_parametrization(name):
    config = load(name).pretraining
    assert config is None or rate_remarks(config) == []
