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


BESIDE = {"head": "token_classification", "data": {"kind": "conll", "path": "entities.conll"}}


def test_weights_of_what_is_learned_beside_can_be_searched():
    config = FinetuningConfig(beside={"entities": {**BESIDE, "weight": {"low": 0.1, "high": 2.0, "log": True}}})
    assert "beside.entities.weight" in search_space(config)
    closed = fixed(config, {"beside.entities.weight": 0.7})
    assert closed.beside["entities"].weight == 0.7
    assert "beside.entities.weight" not in search_space(closed)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beside": {"My entities": BESIDE}}, "cannot be called 'My entities'"),
        ({"beside": {"entity_f1": BESIDE}}, "no name of a metric"),
        ({"beside": {"loss": BESIDE}}, "cannot be called 'loss'"),
        ({"beside": {"entities": {**BESIDE, "weight": 0}}}, "greater than 0"),
        ({"beside": {"entities": {**BESIDE, "weight": {"low": 0, "high": 1}}}}, "weight may be searched from 1e-06"),
        (
            {"beside": {"entities": {**BESIDE, "data": "python_topics"}}},
            r"finetuning.beside.entities.head token_classif",
        ),
        ({"beside": {"entities": {"head": "token_classification"}}}, "data"),
        ({"beside": {"entities": {**BESIDE, "wait": 1.0}}}, "did you mean 'weight'"),
        (
            {
                "beside": {"sums": {"head": "seq2seq", "data": {"kind": "jsonl", "path": "sums.jsonl"}}},
                "context_length": 64,
            },
            "beside.sums.head.max_new_tokens 64 leaves nothing",
        ),
    ],
)
def test_what_cannot_be_learned_beside_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        FinetuningConfig(**settings)


def test_a_setting_counts_where_one_of_the_heads_heeds_it():
    scores = {"kind": "jsonl", "path": "scores.jsonl"}
    smoothed = {"label_smoothing": 0.1, "class_weights": "balanced"}
    with pytest.raises(ValidationError, match="label_smoothing has no effect on regression"):
        FinetuningConfig(head="regression", data=scores, optimization={"label_smoothing": 0.1})
    topics = {"head": "sequence_classification", "data": "python_topics"}
    config = FinetuningConfig(head="regression", data=scores, beside={"topics": topics}, optimization=smoothed)
    assert config.of_beside("topics").head.kind == "sequence_classification"
