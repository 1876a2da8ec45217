from __future__ import annotations

import pytest

from lm_modules.data.cleaners.boilerplate import Boilerplate
from lm_modules.data.cleaners.personal_data import PersonalData
from lm_modules.data.cleaners.unicode import Unicode
from lm_modules.data.cleaners.unwrap import Unwrap
from lm_modules.data.cleaners.whitespace import Whitespace
from lm_modules.data.documents import Document

CODE = 'def f(x):\n    if x:\n\t\treturn "a  b"   \n\n\n\n    return  x\n'


def test_a_cleaner_is_for_its_sources_or_else_its_kinds_of_text() -> None:
    book = Document("1", "text", "books/emma", profile="wrapped")
    page = Document("2", "text", "pages")
    assert Unwrap().is_for(book)
    assert not Unwrap().is_for(page)
    assert Boilerplate().is_for(page)
    assert not Boilerplate().is_for(book)
    assert PersonalData().is_for(book)
    assert Boilerplate(sources=("books",)).is_for(book)
    assert not PersonalData(sources=("book",)).is_for(book)


def test_half_a_pair_leaves_unicode_as_text_that_utf_8_can_hold() -> None:
    Unicode().clean("half a pair \ud83d here").encode()


def test_whitespace_joins_runs_and_keeps_what_the_setting_says() -> None:
    assert Whitespace().clean("  a \t b  \n \n\t\n\nc\n\n") == "a b\n\nc\n"
    assert Whitespace().clean(CODE) == 'def f(x):\nif x:\nreturn "a b"\n\nreturn x\n'
    inside = 'def f(x):\n    if x:\n\t\treturn "a b"\n\n    return x\n'
    assert Whitespace(spaces="join_inside_lines").clean(CODE) == inside
    kept = 'def f(x):\n    if x:\n\t\treturn "a  b"\n\n\n    return  x\n'
    assert Whitespace(spaces="keep", max_blank_lines=2).clean(CODE) == kept
    assert Whitespace(max_blank_lines=0).clean("a\n\n\nb") == "a\nb"


PARAGRAPH = (
    "Emma Woodhouse, handsome, clever, and rich, with a comfortable home and happy disposition, seemed to unite some "
    "of the best blessings of existence; and had lived nearly twenty-one years in the world with very little to "
    "distress or vex her. She was the youngest of the two daughters of a most affectionate, indulgent father."
)
VERSE = """Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date;
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd;
And every fair from fair sometime declines,
By chance or nature's changing course untrimm'd;"""
LIST = "Things to buy in the village before the evening, when the shops close:\n- bread\n- butter\n- milk and eggs"


def wrapped(text: str, width: int) -> str:
    """Return the text wrapped by hand, another way than the cleaner looks at it."""
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) + bool(lines[-1]) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


@pytest.mark.parametrize("width", [55, 68, 80])
def test_unwrap_is_the_inverse_of_wrapping(width: int) -> None:
    paragraphs = [PARAGRAPH, PARAGRAPH.replace("Emma", "Harriet"), LIST, PARAGRAPH[:40]]
    text = "\n\n".join(each if each is LIST else wrapped(each, width) for each in paragraphs)
    cleaned = Unwrap().clean(text)
    assert cleaned == "\n\n".join(paragraphs)
    assert Unwrap().clean(cleaned) == cleaned


@pytest.mark.parametrize("text", [VERSE, LIST, "one line\nanother line", "Dear Sir,\n\nyours", CODE, "\n\n", ""])
def test_unwrap_leaves_what_was_not_wrapped(text: str) -> None:
    assert Unwrap().clean(text) == text


def test_unwrap_joins_dashes_without_a_space() -> None:
    text = wrapped(PARAGRAPH, 68).replace("nearly twenty-one", "nearly twenty-\none", 1)
    assert "twenty-one years" in Unwrap().clean(wrapped(PARAGRAPH, 60) + "\n\n" + text)


PAGE = """Home
About us | Contact
3 likes
Share this post
MENU FOR THE WHOLE DAY TODAY
12.50
The harbour was quiet that morning, and the boats lay still.[1]
This site uses cookies to give you the best experience.
Please enable JavaScript to see the map.
The rest of the story is here... Read more »
He said home was where the boats were.

CHAPTER I
Read more of her letters and you will see what she meant by it, said the old man to the boy.
Subscribe to our newsletter"""


def test_boilerplate_takes_the_page_and_leaves_the_text() -> None:
    assert Boilerplate().clean(PAGE).split("\n") == [
        "The harbour was quiet that morning, and the boats lay still.",
        "The rest of the story is here...",
        "He said home was where the boats were.",
        "",
        "CHAPTER I",
        "Read more of her letters and you will see what she meant by it, said the old man to the boy.",
    ]


def test_rules_of_boilerplate_can_be_left_out_and_added() -> None:
    nothing = Boilerplate(policies=False, citations=False, navigation=False, figures_and_capitals=False)
    assert nothing.clean(PAGE) == PAGE
    c4 = Boilerplate(terminal_punctuation=True, min_line_words=3)
    assert c4.clean("Two words.\nThree words here.\nNo end of a sentence\nAnd so on...") == "Three words here."
