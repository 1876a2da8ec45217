from __future__ import annotations

import pytest

from lm_modules.data.cleaners.unicode import Unicode
from lm_modules.data.deduplication.exact import Exact
from lm_modules.data.documents import Document
from lm_modules.data.filters.length import Length
from lm_modules.data.filters.repetition import Repetition


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cafÃ©", "café"),
        ("e\u0301", "é"),
        ("a\u00a0b\u3000c", "a b c"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("nul\x00 feed\x0c bom\ufeff", "nul feed bom"),
        ("\ttabs stay\n    and so do spaces  ", "\ttabs stay\n    and so do spaces  "),
        ("&amp; “quotes” ﬁ stay", "&amp; “quotes” ﬁ stay"),
    ],
)
def test_unicode_writes_each_character_one_way(before: str, after: str) -> None:
    assert Unicode().clean(before) == after


def test_mending_can_be_left_out() -> None:
    assert Unicode(mend=False).clean("cafÃ©") == "cafÃ©"


PROSE = (
    "The library reads every file once and keeps an account of what it leaves out. Each rule has a name, a threshold "
    "and a reason, so that people can see later why some text is missing and decide whether that was right."
)


def reason(each, text: str) -> str | None:
    return each.reason_to_drop(Document("1", text, "source"))


def test_length_names_the_bound() -> None:
    assert reason(Length(min_words=3), "two words") == "fewer than 3 words"
    assert reason(Length(min_words=0, max_words=1), "two words") == "more than 1 words"
    assert reason(Length(min_characters=10, min_words=0), "two words") == "fewer than 10 characters"
    assert reason(Length(max_characters=8, min_words=0), "two words") == "more than 8 characters"
    assert reason(Length(min_words=2, max_words=2), "two words") is None
    with pytest.raises(ValueError, match="min_words 9 is above max_words 5"):
        Length(min_words=9, max_words=5)


def test_repetition_keeps_prose_and_names_the_rule() -> None:
    assert reason(Repetition(), PROSE) is None
    assert (
        reason(Repetition(), "\n".join(["same line"] * 4 + PROSE.split(". ")))
        == "more than 0.3 of the lines are copies"
    )
    long_copies = "\n".join([PROSE, "one", "two", "three", "four", PROSE])
    assert reason(Repetition(), long_copies) == "more than 0.2 of the characters are in copied lines"
    loop = "spam eggs " * 5 + "and some other words that come along here"
    assert reason(Repetition(), loop) == "more than 0.2 of the characters are in one 2-gram"


def test_repetition_thresholds_are_met_exactly() -> None:
    # 100 different words of one letter set, ten of them twice: 1 copied 10-gram of 110 words.
    words = [f"w{number:03}" for number in range(100)]
    text = " ".join(words + words[:10])
    share = 10 / 110
    assert reason(Repetition(max_copied={10: share}), text) is None
    assert reason(Repetition(max_copied={10: share - 1e-6}), text) is not None


def test_copies_differ_in_case_spacing_and_punctuation_only() -> None:
    assert Exact(letters_only=True).key("Hello, World! 1") == Exact(letters_only=True).key("hello\n world?")
    assert Exact(letters_only=True).key("12 34") != Exact(letters_only=True).key("12 35")
    assert Exact().key("a  b") == Exact().key("a b\n")
    assert Exact().key("a b") != Exact().key("A b")
