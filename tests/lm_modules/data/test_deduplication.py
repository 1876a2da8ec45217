"""Copies are found and look-alikes are not, on real text; passages that repeat are cut out and others are not."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from planted_copies import PlantedCopies, cut, edited, planted, precision, recall, unlike

from lm_modules.data.clusters import find_clusters
from lm_modules.data.deduplication import CopiedDocuments, CopiedPassages
from lm_modules.data.deduplication.exact import Exact
from lm_modules.data.deduplication.lines import Lines
from lm_modules.data.deduplication.minhash import Minhash
from lm_modules.data.deduplication.paragraphs import Paragraphs
from lm_modules.data.deduplication.simhash import Simhash
from lm_modules.data.deduplication.substrings import Substrings
from lm_modules.data.passages import repeated_passages
from lm_modules.data.sketches import simplified
from lm_modules.data.sources.python_documentation import PythonDocumentation
from lm_modules.data.text_words import words_of

FINEWEB = Minhash(shingle_words=5, bands=14, rows=8, min_similarity=None)


@pytest.fixture(scope="module")
def corpus() -> PlantedCopies:
    """Documentation of 60 words or more, cut at 200, with copies and look-alikes."""
    documents = PythonDocumentation(parts=("topics", "docstrings")).documents()
    texts = unlike(piece for each in documents for piece in cut(each.text, 200, least=60))
    return planted(texts, num_copies=300, num_look_alikes=150, seed=0)


def keepers(rule: CopiedDocuments, texts: list[str], folder: Path) -> list[int]:
    np.save(folder / "sketches.npy", np.stack([rule.sketch(text) for text in texts]))
    return find_clusters(rule, [folder / "sketches.npy"], folder)[0].tolist()


def test_minhash_finds_copies_with_a_tenth_of_the_words_edited_and_hardly_anything_else(corpus, tmp_path) -> None:
    found = keepers(Minhash(), corpus.texts, tmp_path)
    assert recall(found, corpus.copies[0.05]) >= 0.99
    assert recall(found, corpus.copies[0.10]) >= 0.95
    assert recall(found, corpus.look_alikes) <= 0.02
    assert precision(corpus, found) >= 0.99


def shared(one: str, other: str) -> float:
    first, second = (set(zip(w, w[1:], w[2:], strict=False)) for w in (words(one), words(other)))
    return len(first & second) / len(first | second)


def words(text: str) -> list[str]:
    return [word for each in words_of(text) if (word := simplified(each))]


def test_settings_of_fineweb_find_only_close_copies(corpus, tmp_path) -> None:
    found = keepers(FINEWEB, corpus.texts, tmp_path)
    assert 0.15 < recall(found, corpus.copies[0.05]) < 0.6
    assert recall(found, corpus.copies[0.20]) < 0.02


def test_equal_minima_are_as_many_as_shingles_in_common(corpus) -> None:
    rule = Minhash(bands=128, rows=4)
    pairs = [pair for pairs in (*corpus.copies.values(), corpus.look_alikes) for pair in pairs][:400]
    wanted = np.array([shared(corpus.texts[one], corpus.texts[other]) for one, other in pairs])
    found = np.array([(rule.sketch(corpus.texts[a]) == rule.sketch(corpus.texts[b])).mean() for a, b in pairs])
    deviation = np.sqrt(wanted * (1 - wanted) / 512)
    assert abs((found - wanted).mean()) < 4 * deviation.mean() / np.sqrt(len(pairs))
    assert ((found - wanted) / deviation).std() < 1.25


def test_a_copy_with_two_words_edited_in_two_thousand_is_found_by_all_but_exact(corpus, tmp_path) -> None:
    text = " ".join(" ".join(corpus.texts).split()[:2_000])
    other = edited(text, 2 / 2_000, ["other"], random.Random(0))
    for rule in (Minhash(), FINEWEB, Simhash()):
        assert keepers(rule, [text, other], tmp_path) == [0, 0]
    assert keepers(Exact(), [text, other], tmp_path) == [0, 1]


@pytest.mark.parametrize("rule", [Minhash(), FINEWEB, Simhash(), Exact()])
def test_short_texts_and_texts_without_words_are_not_all_alike(rule, tmp_path) -> None:
    texts = [
        "yes",
        "no",
        "no way",
        "!!!",
        "???",
        "...",
        "👍",
        "👎",
        "1 2 3",
        "4 5 6",
        "日本",
        "中国",
        "x = 1.5;",
        "yes",
    ]
    assert keepers(rule, texts, tmp_path) == [*range(13), 0]


@pytest.mark.parametrize("rule", [Minhash(), FINEWEB])
def test_tables_of_figures_are_not_alike_but_reports_with_other_figures_are(rule, tmp_path) -> None:
    chance = random.Random(0)
    tables = [" ".join(f"{chance.random():.3{kind}}" for _ in range(200)) for kind in "fegfeg"]
    assert keepers(rule, tables, tmp_path) == [*range(6)]
    report = (
        "On day {} the station measured {} millimetres of rain, a good deal more than expected, and wrote it down. "
    )
    reports = [report.format(chance.randrange(100), chance.randrange(100)) for _ in range(3)]
    assert keepers(rule, reports, tmp_path) == [0, 0, 0]


def test_case_punctuation_accents_and_figures_do_not_count() -> None:
    assert simplified("Café-1,2!") == "cafe0"
    assert {simplified(each) for each in ("1,234.5", "-1.5e-07", "(3)", "٣٤")} == {"0"}
    assert simplified("—") == simplified("***") == ""
    assert simplified("हिन्दी।") == simplified("हिन्दी")
    sketch = Minhash().sketch
    assert (sketch("The naïve café, in 1999: open!") == sketch("the naive CAFE in 2001 open")).all()


def test_simhash_misses_no_pair_within_its_distance() -> None:
    chance = np.random.default_rng(0)
    for distance in range(7):
        rule = Simhash(max_distance=distance)
        bits = chance.integers(0, 2**64, (2_000, 1), np.uint64)
        flips = [sum(1 << int(bit) for bit in chance.choice(64, distance, replace=False)) for _ in bits]
        others = bits ^ np.array(flips, np.uint64)[:, None]
        assert rule.alike(bits, others).all()
        assert (rule.band_keys(bits) == rule.band_keys(others)).any(axis=1).all()
        assert not rule.alike(bits, others ^ np.uint64(1) << np.uint64(distance)).all()


def test_indentation_does_not_make_code_alike(tmp_path) -> None:
    texts = [
        f"def {name}(x):\n        if x:\n                return {body}\n        else:\n                raise {error}\n"
        for name, body, error in [("f", "open(x).read()", "KeyError(x)"), ("g", "sum(x) / len(x)", "TypeError")]
    ]
    assert keepers(Simhash(), texts, tmp_path) == [0, 1]


def without_repeats(
    rule: CopiedPassages, parts: list[list[str]], folder: Path, keys_at_once: int = 10**6
) -> list[list[str]]:
    """The texts of each part without their repeated passages, by files as a preparation does it."""
    keys, goes = ([folder / f"{number}.{name}.npy" for number in range(len(parts))] for name in ("keys", "goes"))
    found = [[rule.passages(text)[2] for text in part] for part in parts]
    for path, part in zip(keys, found, strict=True):
        np.save(path, np.concatenate([np.empty(0, np.uint64), *part]))
    num_gone = repeated_passages(rule, keys, goes, keys_at_once)
    marks = [np.load(path) for path in goes]
    assert num_gone == sum(int(each.sum()) for each in marks)
    cleaned = []
    for part, texts_keys, mark in zip(parts, found, marks, strict=True):
        bounds = np.cumsum([len(each) for each in texts_keys])[:-1]
        pieces = np.split(mark, bounds) if part else []
        cleaned.append([rule.without(text, piece) for text, piece in zip(part, pieces, strict=True)])
    return cleaned


def test_the_first_of_equal_paragraphs_stays() -> None:
    rule = Paragraphs(min_characters=20)
    notice = "All rights reserved\nby their owners."
    texts = [f"One.\n\n{notice}\n\nTwo.", f"{notice}\n \n\n    Number three is indented.", "Four."]
    starts, ends, keys = rule.passages(texts[1])
    assert [texts[1][start:end] for start, end in zip(starts, ends, strict=True)] == [
        f"{notice}\n \n\n",
        "    Number three is indented.",
    ]
    assert rule.passages(texts[0])[2].tolist() == keys[:1].tolist()
    assert not len(rule.passages("\n\n  \n")[0])


@pytest.mark.parametrize("keys_at_once", [10**6, 2])
def test_paragraphs_are_cut_over_all_parts(keys_at_once, tmp_path) -> None:
    notice = "All rights reserved\nby their owners."
    parts = [
        [f"One.\n\n{notice}\n\nTwo."],
        [],
        [f"{notice}\n\n    Three.", f"All rights   reserved by their owners.\n\n{notice}"],
    ]
    found = without_repeats(Paragraphs(min_characters=20), parts, tmp_path, keys_at_once)
    assert found == [[f"One.\n\n{notice}\n\nTwo."], [], ["    Three.", ""]]


def test_template_lines_go_altogether_from_their_tenth_occurrence(tmp_path) -> None:
    menu, short = "Home | About us | Contact", "- - -"
    pages = [f"  {menu}\nText number {number} of the site.\n{short}\n" for number in range(10)]
    assert without_repeats(Lines(), [pages[:4], pages[4:9]], tmp_path) == [pages[:4], pages[4:9]]
    found = without_repeats(Lines(), [pages[:4], pages[4:]], tmp_path)
    assert [*found[0], *found[1]] == [f"Text number {number} of the site.\n{short}\n" for number in range(10)]


@pytest.mark.parametrize("script", ["words", "characters"])
def test_long_repeats_are_cut_wherever_they_begin_and_short_ones_are_not(script, tmp_path) -> None:
    chance = random.Random(0)
    rule = Substrings(words=20, sampled_words=8)

    def fresh(size: int) -> str:
        if script == "characters":
            return "".join(chr(0x4E00 + chance.randrange(20_000)) for _ in range(size))
        return "".join(f"{chance.randrange(10**9):x}" + chance.choice([" ", "\n  "]) for _ in range(size))

    long, short = fresh(60), fresh(19)
    texts = [fresh(100) + long + fresh(33) + short, fresh(7) + short + fresh(50), fresh(41) + long + fresh(90)]
    first, second, third = (
        without_repeats(rule, [texts[:2], texts[2:]], tmp_path)[0]
        + without_repeats(rule, [texts[:2], texts[2:]], tmp_path)[1]
    )
    assert [first, second] == texts[:2]
    left = Counter(words_of(third)) & Counter(words_of(long))
    assert left.total() <= 2 * (rule.sampled_words - 1)
    assert Counter(words_of(third)) - left == Counter(words_of(texts[2])) - Counter(words_of(long))
    assert third.startswith(texts[2][: texts[2].index(long)])


def test_every_window_of_neighbours_has_a_sampled_run() -> None:
    rule = Substrings(words=5, sampled_words=4)
    text = " ".join(str(number % 17) for number in range(300))
    places = np.searchsorted(np.cumsum([0, *(len(word) + 1 for word in text.split())]), rule.passages(text)[0])
    assert np.diff(places).max() <= 4
    assert places[0] < 4
    assert places[-1] >= 300 - 5 - 4
