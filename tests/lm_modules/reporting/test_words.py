"""Numbers as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from lm_modules.reporting.words import curve, duration, figure, moment, number, short, size, title


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1\u202f234\u202f567"),
        (0.000123456, "0.0001235"),
        (12000.4, "12\u202f000"),
        (True, "yes"),
        (None, "-"),
        ((0.9, 0.95), "0.9, 0.95"),
        ("lora", "lora"),
    ],
)
def test_number(value: Any, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (48.2, "48 s"), (365, "6 min 05 s"), (7800, "2 h 10 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(12_000, "12k"), (2.5e6, "2.5M"), (0.5, "0.5"), (0, "0"), (3e-4, "0.0003"), (2e-5, "2e-5")]
)
def test_short(value: float, text: str) -> None:
    assert short(value) == text


def test_size_and_title() -> None:
    assert [size(each) for each in (12, 1_500, 2e6, 3.25e9)] == ["12 B", "1.5 kB", "2.0 MB", "3.2 GB"]
    assert title("num_bytes_read") == "bytes read"
    assert (title("training_seconds"), figure("training_seconds", 61)) == ("training", "1 min 01 s")


def test_moment_keeps_what_is_not_a_time() -> None:
    assert moment("2026-11-22T16:05:00+00:00") == "22 November 2026, 16:05 UTC"
    assert moment("yesterday") == "yesterday"


def test_a_curve_names_its_ends_and_its_lowest_point() -> None:
    assert curve("loss", [(1, 5.0), (2, 1.5), (3, 2.0)]) == "loss: 5 at step 1, 2 at step 3; lowest 1.5 at step 2."
