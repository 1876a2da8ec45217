from __future__ import annotations

from typing import Any

import pytest

from configs.finetuning import FinetuningConfig
from configs.tuning import Choice, Range, search_space
from tasks.search import distribution, middle, params, values


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
    ],
)
def test_settings_give_values_for_all_that_is_open_now(
    open_ones: dict[str, Any], settings: dict[str, Any], found: dict[str, Any]
) -> None:
    fixed_ones = {"dropout": 0.1, "optimization": CLOSED}
    space = search_space(FinetuningConfig.model_validate(fixed_ones | open_ones))
    assert values(space, params(space, FinetuningConfig.model_validate(fixed_ones | settings))) == found
