"""A benchmark that is asked to check its aims fails where one is missed."""

import logging
import sys
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark_of(monkeypatch):
    """Return what imports a benchmark as its script would be."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield import_module
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_a_missed_aim_is_said_and_fails_only_if_it_is_checked(benchmark_of, caplog):
    aims = benchmark_of("aims")
    met, missed = aims.Aim("speed", 1.5, 1.5), aims.Aim("time", 0.2504, 0.25, at_most=True)
    with caplog.at_level(logging.INFO):
        aims.tell([met, missed], check=False)
        aims.tell([met], check=True)
        with pytest.raises(SystemExit) as ended:
            aims.tell([met, missed], check=True)
    assert ended.value.code == 1
    assert "met: speed 1.500 (aim: at least 1.5)" in caplog.text
    assert "MISSED: time 0.250 (aim: at most 0.25)" in caplog.text
    with pytest.raises(SystemExit):
        aims.tell([], check=True)


def test_speeds_are_held_against_the_aims_of_those_that_ran(benchmark_of):
    speed = benchmark_of("pretraining_speed")
    seconds = {
        "rootstock": [1.0, 1.0],
        "bare": [0.96, 0.96],
        "rootstock, compiled": [0.5, 0.5],
        "trainer": [1.0, 0.8],
    }
    found = {aim.what: (aim.seen, aim.bound, aim.is_met) for aim in speed.aims("1M", seconds)}
    assert found == {
        "1M, rootstock to bare": (0.96, 0.97, False),
        "1M, rootstock, compiled to trainer": (pytest.approx(1.8), 1.5, True),
    }


def test_a_loss_is_held_against_the_recipes_in_a_quarter_of_its_time_and_in_all_of_it(benchmark_of):
    timing = benchmark_of("time_to_loss")
    ends = [
        timing.End("nanoGPT's recipe", 2000, 60.0, 1.90),
        timing.End(timing.QUARTER, 320, 14.0, 1.89),
        timing.End(timing.WHOLE, 1500, 61.0, 1.58),
    ]
    better = [ends[0], timing.End(timing.QUARTER, 320, 16.0, 1.85), timing.End(timing.WHOLE, 1500, 59.0, 1.58)]
    assert [(aim.what, aim.is_met) for aim in timing.aims([ends])] == [
        ("nats below the recipe in a quarter of the time", True),
        ("part of the recipe's time taken in a quarter of the time", True),
        ("nats below the recipe in all of the time", True),
        ("part of the recipe's time taken in all of the time", False),
    ]
    # medians over the seeds
    assert [round(aim.seen, 3) for aim in timing.aims([ends, better, better])] == [0.05, 0.267, 0.32, 0.983]


def test_learning_rates_are_held_against_a_factor_of_two(benchmark_of):
    transfer = benchmark_of("transfer")
    stays = {64: {0: 1.0, 1: 2.0}, 256: {0: 2.0, 1: 1.0}}
    moves = {64: {-8: 1.0, -9: 2.0, -10: 3.0}, 256: {-8: 3.0, -9: 2.0, -10: 1.0}}
    assert all(aim.is_met for aim in transfer.aims({"u_mup": stays, "standard": moves}))
    assert not any(aim.is_met for aim in transfer.aims({"u_mup": moves, "standard": stays}))
