import pytest

from configs.optimization import OptimizationConfig
from lm_modules.training.schedules import cosine, schedule, warmup_stable_decay


def rates(**changes):
    settings = {"steps": 20, "warmup_steps": 4, "decay_steps": 5, "final_fraction": 0.0} | changes
    return [warmup_stable_decay(step, **settings) for step in range(settings["steps"])]


def test_it_rises_stays_and_falls_in_straight_lines():
    assert rates()[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates()[15:] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert set(rates()[3:16]) == {1.0}


def test_it_ends_above_the_final_fraction():
    falling = rates(final_fraction=0.1)[15:]
    assert falling == pytest.approx([0.1 + 0.9 * each for each in (1.0, 0.8, 0.6, 0.4, 0.2)])


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_short_runs_always_learn(steps):
    config = OptimizationConfig(budget_steps=steps, warmup_fraction=0.1, decay_fraction=0.5)
    assert all(0 < schedule(config, step, steps) <= 1 for step in range(steps))


def test_no_warmup_and_no_decay_is_constant():
    assert rates(warmup_steps=0, decay_steps=0) == [1.0] * 20


def test_the_cosine_begins_at_its_peak_passes_half_in_the_middle_and_ends_at_what_is_left():
    fractions = [cosine(step, steps=110, warmup_steps=10, final_fraction=0.1) for step in range(110)]
    assert fractions[9] == fractions[10] == 1.0
    assert fractions[60] == pytest.approx(0.55)
    assert fractions[-1] == pytest.approx(0.1, abs=1e-3)
    assert fractions[:10] == [pytest.approx((step + 1) / 10) for step in range(10)]


def test_linear_falls_from_the_end_of_the_warmup():
    config = OptimizationConfig(schedule="linear", warmup_steps=10, budget_steps=110)
    assert [schedule(config, step, 110) for step in (9, 10, 60, 109)] == pytest.approx([1.0, 1.0, 0.5, 0.01])
