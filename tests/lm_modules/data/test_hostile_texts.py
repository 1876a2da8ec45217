"""A megabyte made to keep a pattern busy takes seconds; where the time grew with the square of it, it took minutes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from lm_modules.data.cleaners.boilerplate import Boilerplate
from lm_modules.data.personal import masked

MEGABYTE = 1_000_000
MOST_SECONDS = 8.0
"""On a machine that others use too; alone, each takes less than two."""
PIECES = {
    "tokens without dots": "-eyJaaaaaaa1",
    "a chain of addresses": "@b.org",
    "addresses and dots": "a@b.org.x",
    "numbers that hide each other": "00442079460958:",
    "beginnings of keys": "-----BEGIN PRIVATE KEY-----\n",
    "ends of keys": "-----END PRIVATE KEY-----\nab\n",
    "signs": "@",
    "digits": "1 ",
}


def seconds(work: Callable[[str], str], text: str) -> float:
    started = time.process_time()
    work(text)
    return time.process_time() - started


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_masking_takes_seconds(piece: str) -> None:
    assert seconds(masked, piece * (MEGABYTE // len(piece))) < MOST_SECONDS


def test_a_run_of_dots_and_lines_of_a_key_take_seconds() -> None:
    assert seconds(masked, "1" + "." * MEGABYTE) < MOST_SECONDS
    assert seconds(masked, "-----BEGIN PRIVATE KEY-----\n" + "a\n" * (MEGABYTE // 2)) < MOST_SECONDS
    assert seconds(masked, "-----BEGIN PRIVATE KEY-----\n" + f"{'A' * 64}\n" * (MEGABYTE // 65)) < MOST_SECONDS


def test_what_hides_each_other_is_masked_all_the_same() -> None:
    assert masked("a@b.org" + "@b.org" * 1000) == "PI:EMAIL"
    after = masked("before it\nit is " + "00442079460958:" * 1000 + "\nbehind it")
    assert after == "before it\nPI:PHONE\nbehind it"
    assert masked(after) == after


@pytest.mark.parametrize("sign", [",", " ", "[", "(", "1", "| ", "read more "])
def test_lines_of_one_sign_take_seconds(sign: str) -> None:
    line = (sign * 199)[:198] + "x\n"
    assert seconds(Boilerplate().clean, line * (MEGABYTE // len(line))) < MOST_SECONDS


def test_nested_marks_of_citations_go_in_seconds() -> None:
    half = MEGABYTE // 2
    assert seconds(Boilerplate().clean, "[" * half + "]" * half + " x") < MOST_SECONDS
    assert seconds(Boilerplate().clean, "[" * MEGABYTE) < MOST_SECONDS
    assert Boilerplate().clean("It [[1]] is [[[edit]]] so [a [2] b] in [ed[3]it] all.") == "It  is  so [a  b] in  all."
    assert Boilerplate().clean("]] It is [[1] so [[ ed]") == "]] It is [ so [[ ed]"
