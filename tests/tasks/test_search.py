from __future__ import annotations

import pytest

from configs.tuning import Choice, Range
from tasks.search import distribution, middle


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
