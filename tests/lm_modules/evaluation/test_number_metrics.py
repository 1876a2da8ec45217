"""Metrics of numbers beside those of scipy and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, r2_score

from lm_modules.evaluation.metrics.mean_absolute_error import MeanAbsoluteError
from lm_modules.evaluation.metrics.pearson import Pearson
from lm_modules.evaluation.metrics.r_squared import RSquared
from lm_modules.evaluation.scores import score


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("mean", [0.0, 1.0, -300.0])
def test_equal_scipy_and_scikit_learn(mean, size):
    generator = np.random.default_rng(0)
    right = size * (mean + generator.normal(size=200))
    for noise in (0.1, 1.0, 10.0):
        found = right + size * noise * generator.normal(size=200)
        assert score(Pearson(), found, right, []) == pytest.approx(pearsonr(found, right).statistic, abs=1e-9)
        assert score(RSquared(), found, right, []) == pytest.approx(r2_score(right, found), rel=1e-8, abs=1e-9)
        expected = mean_absolute_error(right, found)
        assert score(MeanAbsoluteError(), found, right, []) == pytest.approx(expected, rel=1e-12)


def test_numbers_that_do_not_vary_are_neither_praised_nor_an_error():
    same, other = [0.5] * 7, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert score(Pearson(), same, other, []) == score(Pearson(), other, same, []) == 0
    assert score(RSquared(), same, same, []) == r2_score(same, same) == 1
    assert score(RSquared(), other, same, []) == r2_score(same, other) == 0
    assert score(RSquared(), [0.4] * 7, other, []) == pytest.approx(0)
    zeros = [0.0] * 7
    assert score(Pearson(), zeros, zeros, []) == 0
