from __future__ import annotations

from typing import Any, cast

import optuna
import pytest

from configs.finetuning import FinetuningConfig
from configs.tuning import Choice, Range, fixed, search_space
from tasks.search import distribution, draw, inside, middle, middles, params, values


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (Range(low=0.0, high=0.3), 0.15),
        (Range(low=1e-4, high=1e-2, log=True), 1e-3),
        (Range(low=0.12341, high=0.12342), 0.12341),
        (Range(low=2, high=3, integer=True), 3),
        (Range(low=1, high=7, step=4, integer=True), 5),
        (Range(low=4, high=64, log=True, integer=True), 16),
        (Range(low=0.0, high=1.0, step=0.4), 0.4),
        (Choice(choices=({"kind": "lora", "rank": 4}, "plain")), '{"kind": "lora", "rank": 4}'),
    ],
)
def test_the_middle_of_a_range(space: Range | Choice, value: object) -> None:
    found = middle(distribution(space))
    assert found == pytest.approx(value) if isinstance(value, float) else found == value
    assert type(found) is type(value)
    assert distribution(space)._contains(distribution(space).to_internal_repr(found))


RATE, RANK = {"low": 1e-4, "high": 1e-2, "log": True}, {"low": 4, "high": 16, "step": 4, "integer": True}
CLOSED: dict[str, Any] = {"learning_rate": 1e-3, "layer_decay": 1.0, "epochs": 3}


@pytest.mark.parametrize(
    ("open_ones", "settings", "found"),
    [
        ({"optimization": {**CLOSED, "learning_rate": RATE}}, {}, {"optimization.learning_rate": 1e-3}),
        ({"optimization": {**CLOSED, "learning_rate": {"low": 0.1, "high": 1}}}, {}, {}),
        ({"optimization": {**CLOSED, "epochs": {"choices": [2, 3]}}}, {}, {"optimization.epochs": 3}),
        ({"optimization": {**CLOSED, "epochs": {"choices": [2, 4]}}}, {}, {}),
        ({"adapter": {"kind": "lora", "rank": RANK}}, {"adapter": {"kind": "lora", "rank": 8}}, {"adapter.rank": 8}),
        ({"adapter": {"kind": "lora", "rank": RANK}}, {"adapter": {"kind": "lora", "rank": 7}}, {}),
        ({"adapter": {"kind": "lora", "rank": RANK}}, {"adapter": "full"}, {}),
        ({"adapter": {"choices": ["full", "lora"]}}, {"adapter": {"kind": "lora", "rank": 8}}, {}),
        (
            {"adapter": {"choices": ["full", {"kind": "lora", "rank": RANK, "scale": 1.0}]}},
            {"adapter": {"kind": "lora", "rank": 8, "scale": 1.0}},
            {"adapter": {"kind": "lora", "scale": 1.0}, "adapter.rank": 8},
        ),
        (
            {"adapter": {"choices": [{"kind": "lora", "rank": {"choices": [4, 8]}}, {"kind": "lora", "rank": RANK}]}},
            {"adapter": {"kind": "lora", "rank": 16}},
            {"adapter": "lora", "adapter.rank": 16},
        ),
    ],
)
def test_settings_give_values_for_all_that_is_open_now(
    open_ones: dict[str, Any], settings: dict[str, Any], found: dict[str, Any]
) -> None:
    fixed_ones = {"dropout": 0.1, "optimization": CLOSED}
    space = search_space(FinetuningConfig.model_validate(fixed_ones | open_ones))
    assert values(space, params(space, FinetuningConfig.model_validate(fixed_ones | settings))) == found


LORAS = [
    {"kind": "lora", "rank": {"choices": [4, 8]}},
    {"kind": "lora", "rank": {"choices": [16, 32]}, "scale": 1.0},
    {"kind": "lora", "rank": {"low": 64, "high": 128, "integer": True}, "scale": {"low": 3.0, "high": 4.0}},
]


def adapters(*choices: Any) -> FinetuningConfig:
    return FinetuningConfig.model_validate(
        {"dropout": 0.1, "optimization": CLOSED, "adapter": {"choices": list(choices)}}
    )


@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler, optuna.samplers.RandomSampler])
def test_choices_of_the_same_kind_are_searched_each_by_itself(sampler: Any) -> None:
    config = adapters("full", *LORAS)
    space = search_space(config)
    study = optuna.create_study(sampler=sampler(seed=0))
    study.enqueue_trial(middles(space))
    for number in range(60):
        trial = study.ask()
        draw(trial, space)
        study.tell(trial, number % 7)
    ranks: dict[float, set[int]] = {}
    for each in study.trials:
        found = fixed(config, values(space, each.params))
        assert params(space, found) == each.params
        if (adapter := cast(Any, found.adapter)).kind == "lora":
            ranks.setdefault(adapter.scale // 1, set()).add(adapter.rank)
    assert ranks[2.0] == {4, 8}
    assert ranks[1.0] == {16, 32}
    assert min(ranks[3.0]) >= 64
    assert len(ranks[3.0]) > 2


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        (["full", {"kind": "lora", "rank": RANK}], "adapter.lora.rank"),
        (["lora", {"kind": "lora", "rank": RANK}], "adapter.lora.rank"),
        ([*LORAS, {"kind": "lora", "rank": RANK}], "adapter.lora#4.rank"),
    ],
)
def test_names_inside_choices_have_a_number_only_from_the_second_open_one_of_a_kind_on(
    choices: list[Any], name: str
) -> None:
    space = search_space(adapters(*choices))
    adapter = space["adapter"]
    assert isinstance(adapter, Choice)
    assert list(inside("adapter", adapter, cast(Any, distribution(adapter)).choices[-1])) == [name]
