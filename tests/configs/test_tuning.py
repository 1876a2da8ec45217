"""Settings of the sweep that have no effect are said where they were given, and the sweep goes on."""

from __future__ import annotations

import pytest

from configs.loading import load, presets
from configs.tuning import TuningConfig, search_space


@pytest.mark.parametrize(
    ("settings", "is_open", "words"),
    [
        ({}, True, []),
        ({}, False, []),
        ({"trials": 1}, False, []),
        ({"trials": 5}, True, []),
        ({"trials": 5}, False, ["tuning.trials 5 has no effect where nothing is left open: one trial is run"]),
        ({"warmup_trials": 3, "warmup_evaluations": 2}, True, []),
        ({"warmup_trials": 9, "pruner": "none"}, True, ["tuning.warmup_trials 9 has no effect with pruner none"]),
        ({"warmup_evaluations": 2, "pruner": "hyperband"}, True, ["warmup_evaluations 2 has no effect"]),
        ({"repeat_best": 3}, True, ["tuning.repeat_best 3 has no effect without repeats"]),
        ({"repeat_best": 3, "repeats": 1}, True, []),
        ({"random_trials": 9, "sampler": "random"}, True, ["tuning.random_trials 9 has no effect with sampler random"]),
        ({"random_trials": 9, "sampler": "gp"}, True, []),
    ],
)
def test_only_what_was_given_and_has_no_effect_is_said(settings, is_open, words):
    given = TuningConfig(**settings)
    for tuning in (given, TuningConfig.model_validate_json(given.model_dump_json())):
        found = tuning.remarks(is_open)
        assert len(found) == len(words)
        assert all(word in remark for word, remark in zip(words, found, strict=True))


@pytest.mark.parametrize("name", presets())
def test_no_preset_gives_cause_for_a_remark(name):
    config = load(name).finetuning
    assert config is None or config.tuning.remarks(bool(search_space(config))) == []
