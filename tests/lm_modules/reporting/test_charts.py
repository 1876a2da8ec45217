"""Charts: what is drawn lies where the numbers say."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from lm_modules.reporting.charts import (
    HEIGHT,
    MAX_POINTS,
    WIDTH,
    Series,
    bar,
    histogram,
    line_chart,
    nice_ticks,
    whisker,
)
from lm_modules.reporting.facts import Interval


def path_points(svg: str) -> list[tuple[float, float]]:
    path = ElementTree.fromstring(svg).find("path[@class='line main']")
    assert path is not None
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+) ([\d.]+)", path.attrib["d"])]


def test_a_higher_value_is_drawn_higher_and_a_later_step_to_the_right() -> None:
    (x0, y0), (x1, y1), (x2, y2) = path_points(line_chart([Series([(0, 1.0), (5, 3.0), (10, 2.0)])], "words"))
    assert x0 < x1 < x2
    assert y1 < y2 < y0
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in ((x0, y0), (x1, y1), (x2, y2)))


def test_a_value_that_is_not_finite_breaks_the_line_only() -> None:
    points = [(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0), (4, 2.5)]
    path = ElementTree.fromstring(line_chart([Series(points)], "words")).find("path[@class='line main']")
    assert path is not None
    assert path.attrib["d"].count("M") == 2
    assert path.attrib["d"].count("L") == 1


@pytest.mark.parametrize(
    "points", [[(0, 0.0)], [(3, 5.0)], [(0, 2.0), (1, 2.0)], [(0, -3.0), (9, -1.0)], [(0, math.nan)]]
)
def test_flat_single_negative_and_missing_values_can_be_drawn(points: list[tuple[float, float]]) -> None:
    svg = line_chart([Series(points)], "words")
    assert ElementTree.fromstring(svg).attrib["aria-label"] == "words"
    assert "nan" not in svg


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    long = [(float(step), float(step)) for step in range(10_007)]
    drawn, short = path_points(line_chart([Series(long)], "w")), path_points(line_chart([Series(long[::10006])], "w"))
    assert len(drawn) <= MAX_POINTS + 1
    assert drawn[-1] == short[-1]


def test_the_area_of_a_bar_is_the_share_of_its_bin() -> None:
    rectangles = ElementTree.fromstring(histogram([(1, 10, 0.2), (10, 1000, 0.8)], "words")).findall("rect")
    areas = [(float(each.attrib["width"]) + 1) * float(each.attrib["height"]) for each in rectangles]
    assert areas[1] / areas[0] == pytest.approx(4, rel=0.01)


def test_a_whisker_lies_on_its_scale() -> None:
    svg = ElementTree.fromstring(whisker(Interval(value=0.5, low=0.0, high=2.0), -2, 2, "words", zero=True))
    circle, zero, line = svg.find("circle"), svg.find("line[@class='zero']"), svg.find("line[@class='whisker main']")
    assert circle is not None
    assert zero is not None
    assert line is not None
    assert (circle.attrib["cx"], zero.attrib["x1"]) == ("62.50%", "50.00%")
    assert (line.attrib["x1"], line.attrib["x2"]) == ("50.00%", "100.00%")


def test_a_bar_stays_within_its_track() -> None:
    filled = [
        ElementTree.fromstring(bar(fraction, "w")).findall("rect")[1].attrib["width"] for fraction in (-1, 0.25, 7)
    ]
    assert filled == ["0.00%", "25.00%", "100.00%"]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.91, 2.04), (-3.0, 700.0), (1e-5, 3e-4), (0.0, 2e6)])
def test_ticks_are_round_evenly_spaced_and_within_the_range(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    steps = [after - before for before, after in pairwise(ticks)]
    assert 2 <= len(ticks) <= 8
    assert low <= ticks[0]
    assert ticks[-1] <= high
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert f"{steps[0]:.0e}"[0] in "125"
