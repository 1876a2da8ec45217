"""What may be left open for a sweep, and what is refused before it starts."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

import configs.searchable
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
        (
            {"dropout": {"low": 0.0, "high": 1.5}},
            r"(?s)dropout.*fail at 1.5: input should be less than 1.*; narrow what",
        ),
        ({"optimization": {"epochs": {"low": 1, "high": 3}}}, "search whole numbers"),
        ({"optimization": {"batch_examples": {"low": 8, "high": 32}}}, r"(?s)batch_examples.*search whole numbers"),
        (
            {"optimization": {"epochs": {"choices": [1, 2.5]}}},
            r"(?s)optimization.epochs.*fail at 2.5: input should be a va",
        ),
        ({"dropout": {"low": 0, "high": float("inf")}}, "finite number"),
        ({"dropout": {"choices": [0.1, {"low": 0.1, "high": 0.2}]}}, "this leaves it open"),
        (
            {"adapter": {"kind": "lora", "rank": {"choices": [4, 0]}}},
            r"(?s)adapter.rank.*fail at 0: .*than or equal to 1",
        ),
        ({"adapter": {"kind": "lora", "rank": {"low": -4, "high": 8, "integer": True}}}, "would fail at -4"),
        (
            {"adapter": {"kind": "lora", "rank": {"low": 1.5, "high": 8}}},
            r"fail at 1.5: .*; search whole numbers \(integer: true",
        ),
        ({"adapter": {"choices": ["full", {"kind": "lora", "rank": {"choices": [4, 0]}}]}}, "would fail at 0"),
        (
            {"adapter": {"choices": ["full", {"kind": "lora", "scale": {"low": 0, "high": 2}}]}},
            r"(?s)adapter.scale.*0.0",
        ),
        (
            {"optimization": {"label_smoothing": {"low": 0, "high": 1}}},
            r"(?s)label_smoothing.*fail at 1.0",
        ),
        (
            {"tuning": {"metric": "validation/bleu"}},
            "is reported by no training of sequence_classification; choose amo",
        ),
        ({"optimization": {"layer_decay": {"choices": [0.5, 2]}}}, r"(?s)layer_decay.*would fail at 2: "),
        ({"adapter": {"choices": ["full", "lore"]}}, "unknown kind 'lore'"),
        ({"optimization": {"learning_rat": 1e-3}}, "did you mean 'learning_rate'"),
        ({"head": "sequence"}, "unknown kind 'sequence'"),
    ],
)
def test_what_would_fail_in_the_middle_of_a_sweep_is_refused_at_once(settings, message):
    with pytest.raises(ValidationError, match=message):
        FinetuningConfig(**settings)


def test_ranges_may_go_as_far_as_the_settings_do_and_each_inside_its_own_choice():
    adapters = [
        "full",
        {"kind": "lora", "rank": {"low": 1, "high": 64, "step": 1}},
        {"kind": "full", "frozen_blocks": 2},
    ]
    config = FinetuningConfig(adapter={"choices": adapters}, dropout={"low": 0, "high": 0.995})
    assert FinetuningConfig.model_validate_json(config.model_dump_json()) == config


def test_all_that_would_fail_is_said_at_once_and_little_is_tried(monkeypatch):
    tried = []
    validate = configs.searchable.fixed
    monkeypatch.setattr(
        configs.searchable, "fixed", lambda config, values: tried.append(values) or validate(config, values)
    )
    lora = {"kind": "lora", "rank": {"low": 1, "high": 8}, "scale": {"choices": [0, 1]}}
    with pytest.raises(ValidationError) as refused:
        FinetuningConfig(adapter={"choices": [lora, "full"]}, dropout={"choices": [0.5, 2]})
    found = {".".join(map(str, each["loc"])): each["input"] for each in refused.value.errors()}
    assert found == {"adapter.rank": pytest.approx(1 + 7 / math.pi), "adapter.scale": 0, "dropout": 2}
    # first of all; 2 adapters, 3 ranks, 2 scales; 2 dropouts; 3 rates, 3 decays, 2 epochs of the defaults
    assert len(tried) == 1 + 7 + 2 + 8


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
        ({"beside": {"entities": {**BESIDE, "weight": {"low": 0, "high": 1}}}}, r"(?s)beside.entities.weight.*at 0.0"),
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
