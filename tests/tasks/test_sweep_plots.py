from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from quick_trials import Closed, search

from configs.finetuning import FinetuningConfig
from tasks.study import Trial
from tasks.sweep_plots import _positions, draw, figures


@pytest.fixture(autouse=True)
def _own_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", str(tmp_path / "optuna.journal"))


def test_pictures_are_drawn_of_a_sweep_with_pruned_trials(tmp_path: Path) -> None:
    result = search(tmp_path, sampler="random", pruner="median", trials=14, warmup_trials=2, parallel=1)
    assert any(each.state == "pruned" for each in result.trials)
    paths = draw(result, tmp_path / "pictures")
    assert [each.name for each in paths] == [
        "sweep_history.png",
        "sweep_importances.png",
        "sweep_parallel_coordinates.png",
    ]
    assert all(each.read_bytes().startswith(b"\x89PNG") and each.stat().st_size > 5000 for each in paths)


def test_best_so_far_never_falls(tmp_path: Path) -> None:
    result = search(tmp_path, sampler="random", trials=8)
    axes = figures(result)["sweep_history.png"].axes[0]
    best = [float(each) for each in axes.lines[0].get_ydata()]  # type: ignore[union-attr, arg-type]
    assert best == sorted(best)
    assert result.best is not None
    assert best[-1] == result.best.value


def test_a_repeat_is_no_best_so_far(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        trial.report(1, {"score": trial.number})
        return {"stopped": False}

    result = search(tmp_path, work=work, trials=3, parallel=1, repeats=2)
    assert [each.value for each in result.trials if each.repeat_of is not None] == [3, 4, 5, 6]
    axes = figures(result)["sweep_history.png"].axes[0]
    assert list(axes.lines[0].get_ydata()) == [0, 1, 2]  # type: ignore[arg-type]


def test_single_trial_has_a_history_only(tmp_path: Path) -> None:
    assert list(figures(search(tmp_path, config=Closed()))) == ["sweep_history.png"]


def test_positions_spread_values_over_the_axis() -> None:
    assert _positions([1, 3, 2])[0] == [0, 1, 0.5]
    assert _positions([1e-4, 1e-2, 1e-3])[0] == pytest.approx([0, 1, 0.5])
    assert _positions(["lora", "full"]) == ([1.0, 0.0], [(0.0, "full"), (1.0, "lora")])
    assert _positions([2, 2])[0] == [0.5, 0.5]


def test_a_field_inside_a_choice_leaves_gaps_where_it_was_not_chosen(tmp_path: Path) -> None:
    heights, labels = _positions([None, 8, None, 64])
    assert [math.isnan(each) for each in heights] == [True, False, True, False]
    assert (heights[1], heights[3], labels) == (0, 1, [(0.0, "8"), (1.0, "64")])
    config = FinetuningConfig(
        adapter={"choices": ["full", {"kind": "lora", "rank": {"low": 4, "high": 64, "integer": True}}]}
    )
    assert "sweep_parallel_coordinates.png" in figures(search(tmp_path, config=config, trials=8, parallel=1))
