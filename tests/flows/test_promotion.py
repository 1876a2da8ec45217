from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from configs.loading import load
from flows import promotion


def test_what_promotion_needs_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[tuple[str, tuple[Any, ...]]] = []

    def stand_in(name: str) -> Any:
        def flow(config: Any, *arguments: Any, **_: Any) -> str:
            walked.append((name, arguments))
            return name

        return flow

    for name in ("data_preparation", "pretraining", "finetuning", "evaluation"):
        monkeypatch.setattr(promotion, name, stand_in(name))
    decided = SimpleNamespace(run_id="run", file=lambda *_: None)
    monkeypatch.setattr(promotion, "stage", lambda *_: nullcontext(decided))
    monkeypatch.setattr(promotion, "promote", lambda *_, **__: SimpleNamespace(figures=dict))
    promotion.promotion.fn(load("demo"), within="whole")
    assert walked == [
        ("data_preparation", ("whole",)),
        ("pretraining", ("data_preparation", "whole")),
        ("finetuning", ("pretraining", "whole")),
        ("evaluation", ("finetuning", "pretraining", "data_preparation", "whole")),
    ]
