"""What the filters drop, by short texts; the formulas of ROOTS by cases worked out by hand."""

from __future__ import annotations

import random
import string
from collections import Counter
from math import isqrt

import numpy as np
import pytest
import stopwordsiso
from paragraphs import PARAGRAPHS

from configs.component import members
from lm_modules.data.documents import Document
from lm_modules.data.filters._roots import LANGUAGES, LIMITS
from lm_modules.data.filters._shares import plain_words, repeated_characters, repeated_words, special_characters
from lm_modules.data.filters.c4 import C4
from lm_modules.data.filters.character_repetition import CharacterRepetition
from lm_modules.data.filters.closed_class_words import BREADTH, ClosedClassWords
from lm_modules.data.filters.code import Code
from lm_modules.data.filters.fineweb import Fineweb
from lm_modules.data.filters.flagged_words import FlaggedWords
from lm_modules.data.filters.gopher_quality import GopherQuality
from lm_modules.data.filters.language import Language
from lm_modules.data.filters.perplexity import Perplexity
from lm_modules.data.filters.repetition import Repetition
from lm_modules.data.filters.special_characters import SpecialCharacters
from lm_modules.data.filters.word_count import WordCount
from lm_modules.data.filters.word_repetition import WordRepetition

PROSE = " ".join(PARAGRAPHS["en"].split())


def reason(each, text: str, language: str | None = "en") -> str | None:
    return each.reason_to_drop(Document("1", text, "source", language=language))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PROSE, None),
        ("too short", "fewer than 50 words"),
        (PROSE.replace(" ", " # "), "more than 0.1 hashes for each word"),
        ("\n".join(f"- {line}" for line in PROSE.split(", ")), "more than 0.9 of the lines begin with a bullet"),
        ("\n".join(f"{line}…" for line in PROSE.split(". ")), "more than 0.3 of the lines end with an ellipsis"),
        (PROSE.replace(" a ", " 7 ") + " 1 2 3 4 5" * 10, "fewer than 0.8 of the words have a letter"),
        (" ".join(["word", "names", "list"] * 20), "fewer than 2 of the common words"),
    ],
)
def test_gopher_quality(text: str, expected: str | None) -> None:
    assert reason(GopherQuality(), text) == expected


def test_gopher_quality_asks_for_common_words_of_languages_it_knows() -> None:
    german = " ".join(PARAGRAPHS["de"].split())
    assert reason(GopherQuality(), german, "en") == "fewer than 2 of the common words"
    assert reason(GopherQuality(), german, "de") is None
    assert "common words" in str(GopherQuality().cannot_judge("de"))
    listed = GopherQuality(common_words={"de": ("xyz", "zyx")})
    assert reason(listed, german, "de") == "fewer than 2 of the common words"
    assert reason(GopherQuality(), " ".join(PARAGRAPHS["zh"].split()), "zh") is None


def test_c4_counts_sentences_in_lines_worth_reading() -> None:
    line = "This line has words and an end. "
    assert reason(C4(), line * 5) is None
    assert reason(C4(), line * 4) == "fewer than 5 sentences"
    assert (
        reason(C4(), (line + "\n") * 4 + "This one has no end\nThree words…\nNo.\nUse JavaScript, please.") is not None
    )
    assert reason(C4(end_marks=False), (line + "\n") * 4 + "This one has no end") is None
    assert reason(C4(), line * 5 + "\nAnd {.") is None  # in a line that does not count
    assert reason(C4(), line * 5 + "\nAnd { here.") == "a curly bracket"
    assert reason(C4(), line * 5 + "\nLorem ipsum it is.") == "lorem ipsum"
    assert reason(C4(), "nur ein Satz.", "de") is None


def test_fineweb() -> None:
    sentence = "This is a line that goes on for a while and ends."
    lines = [f"{number} {sentence}" for number in range(9)]
    assert reason(Fineweb(), "\n".join(lines)) is None
    assert reason(Fineweb(), "\n".join(line[:-1] for line in lines)) == "fewer than 0.12 of the lines end a sentence"
    assert reason(Fineweb(), "\n".join([*lines, *(f"Item {number}." for number in range(30))])) is not None
    assert reason(Fineweb(), "\n".join([*lines, lines[0]])) == "more than 0.01 of the characters are in copied lines"
    assert reason(Fineweb(), "\n".join(["Quitelongwords standingalone here."] * 1)) is None
    assert reason(Fineweb(), "\n\n".join(lines[:2]) + "\n" * 20) == "more than 0.3 line ends for each word"
    thai = "\n".join(PARAGRAPHS["th"].split())
    assert reason(Fineweb(), thai, "th") is None
    assert Fineweb().cannot_judge("th")


def test_repetition_counts_all_characters_or_those_of_words() -> None:
    few = "Six words are quickly read here"
    assert reason(Repetition(), few) is None
    assert reason(Repetition(characters="all"), few) == "more than 0.2 of the characters are in one 2-gram"
    assert reason(Repetition(characters="all"), "a b c d\n\n" * 3) == "more than 0.3 of the lines are copies"
    thai = " ".join(PARAGRAPHS["th"].split())
    assert reason(Repetition(), thai + thai, "th") is None
    assert Repetition().cannot_judge("th")


def test_copied_ngrams_are_counted_from_left_to_right_and_once() -> None:
    """By a plain loop over tuples of words."""
    from lm_modules.data.filters._ngrams import Words

    chance = random.Random(0)
    for _ in range(100):
        words = tuple(chance.choices(["a", "bb", "ccc", "dddd"], k=chance.randrange(1, 60)))
        for size in (2, 3, 5):
            ngrams = list(zip(*(words[start:] for start in range(size)), strict=False))
            seen, place, copied = set(), 0, 0
            while place < len(ngrams):
                if ngrams[place] in seen:
                    copied, place = copied + len("".join(ngrams[place])), place + size
                else:
                    seen.add(ngrams[place])
                    place += 1
            found = Words(words).ngrams(size)
            assert found.copied_characters(most=0) == copied
            assert found.commonest()[0] == max(Counter(ngrams).values(), default=0)


def test_character_repetition_by_hand() -> None:
    # "abababab", n = 3: aba 3, bab 3. Two different, root 1: one of them counts. 3 of 6.
    assert repeated_characters("abababab", 3) == 0.5
    # "abcdabce", n = 3: abc 2; bcd cda dab bce 1 each. Five different, root 2, but one repeats. 2 of 6.
    assert repeated_characters("abcdabce", 3) == pytest.approx(1 / 3)
    assert repeated_characters("abcdef", 3) == 0
    assert repeated_characters("ab", 3) == 0
    counts = sorted(Counter(PROSE[start : start + 10] for start in range(len(PROSE) - 9)).values(), reverse=True)
    commonest = [count for count in counts if count > 1][: isqrt(len(counts))]
    assert repeated_characters(PROSE, 10) == sum(commonest) / sum(counts)
    assert reason(CharacterRepetition(), PROSE) is None
    assert reason(CharacterRepetition(), PROSE + "-" * 100) is not None
    assert reason(CharacterRepetition(max_share={"default": 0.9, "de": 0.0}), PROSE + "-" * 100) is None


def test_word_repetition_by_hand() -> None:
    # a b c a b c, n = 2: ab 2, bc 2, ca 1. 4 of 5, whatever the case and the punctuation.
    assert repeated_words("A b, c. a (b) C!", 2) == 0.8
    assert repeated_words("a b c d e f", 2) == 0
    assert repeated_words("a", 2) == 0
    assert reason(WordRepetition(), PROSE) is None
    assert reason(WordRepetition(), PROSE + " " + PROSE) == "more than 0.19 of the runs of 5 words occur again"
    assert reason(WordRepetition(), " ".join(PARAGRAPHS["th"].split()) * 2, "th") is None
    assert reason(WordRepetition(max_share={"th": 0.1}), " ".join(PARAGRAPHS["th"].split()) * 2, "th") is not None


def test_special_characters_by_hand() -> None:
    assert special_characters("ab 1") == 0.5
    assert special_characters("") == 0
    assert special_characters("हि") == 0  # a vowel sign is no special character
    assert special_characters(string.punctuation + string.digits + string.whitespace + "€•★😀") == 1
    assert (
        reason(SpecialCharacters(), "12 % (34)" * 9) == "more than 0.4 of the characters are neither letters nor marks"
    )
    assert reason(SpecialCharacters(), PROSE) is None


def test_words_are_counted_without_what_is_no_word() -> None:
    assert len(plain_words("One -- two, 3 ... (three)!")) == 3
    assert reason(WordCount(), "word " * 19) == "fewer than 20 words"
    assert reason(WordCount(), "word " * 20) is None
    assert reason(WordCount(), "Wort " * 10, "de") is None
    assert reason(WordCount(max_words=20), "word " * 21) == "more than 20 words"
    assert reason(WordCount(min_words={"default": 3}), "word word") == "fewer than 3 words"


def test_closed_class_words_by_hand() -> None:
    # "the of" of five words, of which the English list has only these; names and numbers are in none
    text = "The Zyx, of Qwv Xyz."
    assert reason(ClosedClassWords(min_share={"en": 0.4}), text) is None
    assert (
        reason(ClosedClassWords(min_share={"en": 0.41}), text) == "fewer than 0.41 of the words are of closed classes"
    )
    assert reason(ClosedClassWords(), "Zyx Qwv Xyz " * 9) == "fewer than 0.363 of the words are of closed classes"
    assert reason(ClosedClassWords(), "Zyx Qwv Xyz " * 9, None) is None
    assert reason(ClosedClassWords(), "Zyx Qwv Xyz " * 9, "lij") is None
    assert ClosedClassWords().cannot_judge("lij")
    assert ClosedClassWords().cannot_judge("th")
    assert all(ClosedClassWords().cannot_judge(each) is None and stopwordsiso.has_lang(each) for each in LANGUAGES)
    assert BREADTH.keys() == LANGUAGES


def test_flagged_words_are_those_of_your_file(tmp_path) -> None:
    (tmp_path / "en.txt").write_text("blast\nconfound\n")
    each = FlaggedWords(files={"en": str(tmp_path / "en.txt")})
    each.check()
    assert reason(each, PROSE) is None
    assert reason(each, "Blast! That was no word too many.") == "more than 0.01 of the words are flagged"
    assert reason(each, "Blast! That was no word too many.", "de") is None
    assert each.cannot_judge("de")
    before = each.fingerprint()
    (tmp_path / "en.txt").write_text("bother\n")
    assert each.fingerprint() != before
    with pytest.raises(ValueError, match=r"none\.txt does not exist"):
        FlaggedWords(files={"en": str(tmp_path / "none.txt")}).check()


def test_language() -> None:
    assert reason(Language(), PROSE) is None
    assert reason(Language(languages=("de", "fr")), PROSE) == "not in de, fr"
    assert reason(Language(), PROSE, "de") == "not in the language that it is said to be in"
    assert reason(Language(min_confidence={"en": 1.0}), "one two three four") == "language less certain than 1"
    assert reason(Language(), "12 34 +++") == "in no language"
    with pytest.raises(ValueError, match="no language 'english' can be identified"):
        Language(languages=("english",))


def test_perplexity_tells_noise_and_other_languages_from_good_text(tmp_path) -> None:
    from mutated_texts import library_texts

    prose = "\n\n".join(library_texts(["json", "csv", "string", "textwrap"]))
    (tmp_path / "good.txt").write_text(prose[:100_000] + prose[102_000:])
    each = Perplexity(good_texts={"en": str(tmp_path / "good.txt")})
    each.check()
    shuffled = random.Random(0).sample(PROSE, len(PROSE))
    assert reason(each, prose[100_000:102_000]) is None
    assert reason(each, "".join(shuffled)) == "perplexity more than 5 times that of good text"
    assert reason(each, " ".join(PARAGRAPHS["fr"].split())) is not None
    assert reason(each, "".join(shuffled), "fr") is None
    assert each.cannot_judge("fr")
    (tmp_path / "good.txt").write_text("short")
    with pytest.raises(ValueError, match="has 5 characters; 20000 are needed"):
        each.check()


def test_the_character_model_shares_out_all_probability() -> None:
    from lm_modules.data.filters._character_model import CharacterModel

    text = PROSE[:600].lower()
    model, letters = CharacterModel(text), sorted(set(text))
    for before in ("then", "qqqq", "s of"):
        (bits_V,) = np.stack([model.bits_of(before + letter) for letter in letters], axis=1)
        unseen = np.exp2(-model.bits_of(before + "\u4e00")[0]) * (0x110000 - len(letters))
        assert np.exp2(-bits_V).sum() + unseen == pytest.approx(1, abs=1e-3)


CODE = '''def area(width, height):
    """Return the area of a rectangle, whose sides must not be negative."""
    if width < 0 or height < 0:
        raise ValueError(f"sides {width} and {height} must not be negative")
    return width * height
'''


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CODE, None),
        ("x = 1\n", "not between 100 and 200000 characters"),
        ("x = 1\n" * 100, "longest line not between 20 and 1000 characters"),
        (CODE + "#" + "a b " * 300, "longest line not between 20 and 1000 characters"),
        ("++ -- !! " * 30, "share of characters outside words not between 0.15 and 0.65"),
        ("abc def, ghi jkl. " * 30, "words of much the same length"),
        ("# This file was Automatically Generated\n" + CODE, "marked as generated"),
    ],
)
def test_code(text: str, expected: str | None) -> None:
    assert reason(Code(), text) == expected


def test_rules_for_prose_leave_code_alone_and_those_for_code_prose() -> None:
    for kind, cls in members("lm_modules.data.filters").items():
        judged = {profile for profile in ("web", "code") if cls().is_for(Document("1", "", "s", profile=profile))}
        assert judged == {"length": {"web", "code"}, "code": {"code"}}.get(kind, {"web"}), kind


@pytest.mark.parametrize("kind", sorted(set(members("lm_modules.data.filters")) - {"code"}))
@pytest.mark.parametrize("language", PARAGRAPHS)
def test_no_filter_drops_a_language_as_such(kind: str, language: str) -> None:
    """A clean paragraph, long enough, is kept in every language: by rules for it, or because they leave it out."""
    each = members("lm_modules.data.filters")[kind]()
    assert reason(each, " ".join(PARAGRAPHS[language].split()), language) is None


def test_the_limits_of_roots() -> None:
    assert len(LANGUAGES) == 13
    for limits in LIMITS.values():
        assert all(value > 0 for value in limits)
        assert all(value <= 1 for value in limits if isinstance(value, float))
