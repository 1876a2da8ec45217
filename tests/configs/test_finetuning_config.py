"""What may be left open for a sweep, and what is refused before it starts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from configs.finetuning import FinetuningConfig
from configs.tuning import fixed, search_space


def test_the_defaults_are_a_sweep_that_can_be_closed():
    config = FinetuningConfig()
    space = search_space(config)
    assert set(space) == {"dropout", "optimization.learning_rate", "optimization.layer_decay", "optimization.epochs"}
    values = {name: int(each.low) if each.integer else each.low for name, each in space.items()}
    assert search_space(fixed(config, values)) == {}


def test_adapters_and_their_settings_can_be_searched():
    choice = FinetuningConfig(adapter={"choices": ["full", "lora"]})
    assert fixed(choice, {"adapter": "lora"}).adapter.kind == "lora"
    inner = FinetuningConfig(adapter={"kind": "lora", "rank": {"low": 4, "high": 16, "integer": True}})
    assert fixed(inner, {"adapter.rank": 8}).adapter.rank == 8


def test_what_else_the_optimizer_takes_can_be_searched():
    open_ones = {
        "batch_examples": {"low": 8, "high": 32, "integer": True},
        "weight_decay": {"low": 1e-3, "high": 1.0, "log": True},
        "warmup_fraction": {"choices": [0.0, 0.1]},
        "label_smoothing": {"low": 0.0, "high": 0.2},
    }
    config = FinetuningConfig(optimization=open_ones)
    space = search_space(config)
    assert {f"optimization.{name}" for name in open_ones} <= set(space)
    closed = fixed(config, {"optimization.batch_examples": 16, "optimization.warmup_fraction": 0.0})
    assert (closed.optimization.batch_examples, closed.optimization.warmup_fraction) == (16, 0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": {"low": 0.0, "high": 1.5}}, "dropout may be searched from 0 to 0.99 only, not at 1.5"),
        ({"optimization": {"epochs": {"low": 1, "high": 3}}}, "add integer: true"),
        ({"optimization": {"batch_examples": {"low": 8, "high": 32}}}, "batch_examples are whole numbers; add integer"),
        (
            {"optimization": {"label_smoothing": {"low": 0, "high": 1}}},
            "label_smoothing may be searched from 0 to 0.99",
        ),
        (
            {"tuning": {"metric": "validation/bleu"}},
            "is reported by no training of sequence_classification; choose amo",
        ),
        ({"optimization": {"layer_decay": {"choices": [0.5, 2]}}}, "layer_decay may be searched"),
        ({"adapter": {"choices": ["full", "lore"]}}, "unknown kind 'lore'"),
        ({"optimization": {"learning_rat": 1e-3}}, "did you mean 'learning_rate'"),
        ({"head": "sequence"}, "unknown kind 'sequence'"),
    ],
)
def test_what_would_fail_in_the_middle_of_a_sweep_is_refused_at_once(settings, message):
    with pytest.raises(ValidationError, match=message):
        FinetuningConfig(**settings)
