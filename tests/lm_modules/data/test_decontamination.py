from __future__ import annotations

import gzip
import json
import os
import random
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest

from configs.decontamination import DecontaminationConfig
from lm_modules.data.decontamination import PIECE_CHARACTERS, ContaminationCounts, Index
from lm_modules.data.text_words import words_of
from lm_modules.data.word_runs import GOES, RunsOfWords

QUESTIONS = [
    "What causes precipitation to fall?",
    "Who wrote it?",
    "Is it so that " + "a very long question, " * 4 + "or not?",
]
SENTENCES = ["The sisters bothered Tonya.", "What causes precipitation to fall?"]
FILLER = "It rained all day and nobody went out of the house, because the road to the village was under water. "


@pytest.fixture(scope="module")
def index() -> Index:
    return Index.of({"questions": QUESTIONS, "sentences": SENTENCES}, DecontaminationConfig())


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        (FILLER, {}),
        ("", {}),
        (f"{FILLER}What causes precipitation to fall?No.{FILLER}", {"questions": (0,), "sentences": (1,)}),
        (f"{FILLER}-- what CAUSES\nprecipitation to fall --{FILLER}", {"questions": (0,), "sentences": (1,)}),
        (f"{FILLER}“What, causes — precipitation; to fall”", {"questions": (0,), "sentences": (1,)}),
        ("What causes the precipitation to fall?", {}),
        ("the sisters bothered tonya", {"sentences": (0,)}),
        ("so that a very long question a very long question a very long question", {"questions": (2,)}),
        ("so that a very long question a very long question", {}),
    ],
)
def test_texts_are_found_whole_or_by_thirteen_words(index: Index, text: str, hits: dict) -> None:
    assert index.hits(text) == hits


def test_short_texts_are_told_and_not_looked_for(index: Index) -> None:
    assert index.hits("Who wrote it?") == {}
    assert index.sets()["questions"] == {"items": 3, "searched": 2}
    settings = DecontaminationConfig(min_words=3, min_bytes=5)
    assert Index.of({"q": QUESTIONS}, settings).hits("who wrote it") == {"q": (1,)}
    with pytest.raises(ValueError, match="min_words 20 is above run_words 13"):
        DecontaminationConfig(min_words=20)


def test_an_index_of_nothing_hits_nothing() -> None:
    assert Index.of({}, DecontaminationConfig()).hits(FILLER) == {}
    assert Index.of({"none": []}, DecontaminationConfig()).sets() == {"none": {"items": 0, "searched": 0}}


def test_a_saved_index_finds_the_same_and_holds_no_pickle(index: Index, tmp_path: Path) -> None:
    index.save(tmp_path / "index")
    loaded = Index.load(tmp_path / "index")
    text = f"{FILLER} the sisters bothered Tonya; what causes precipitation to fall"
    assert loaded.hits(text) == index.hits(text) == {"questions": (0,), "sentences": (0, 1)}
    for path in (tmp_path / "index").iterdir():
        assert isinstance(np.load(path, mmap_mode="r", allow_pickle=False), np.ndarray)


def test_a_number_without_its_digest_is_no_hit(index: Index) -> None:
    arrays = dict(index._arrays)
    arrays["digests_R"] = arrays["digests_R"][::-1].copy()
    assert Index(arrays).hits("what causes precipitation to fall") == {}


def test_a_huge_text_is_read_in_pieces_that_overlap(index: Index) -> None:
    text = FILLER * (PIECE_CHARACTERS // len(FILLER))
    text = text[: PIECE_CHARACTERS - 20] + " What causes precipitation to fall? " + text
    assert index.hits(text) == {"questions": (0,), "sentences": (1,)}


def test_counts_of_shards_add_up(index: Index) -> None:
    texts = ["the sisters bothered Tonya", "what causes precipitation to fall", FILLER, "The sisters bothered Tonya."]
    whole, first, second = ContaminationCounts(), ContaminationCounts(), ContaminationCounts()
    for number, text in enumerate(texts):
        for counts in (whole, (first, second)[number % 2]):
            counts.add(index.hits(text))
    second.update(first)
    assert second.report(index) == whole.report(index)
    assert whole.report(index)["sentences"] == {
        "items": 2, "searched": 2, "hit": 2, "documents": 3, "most_hit": [[0, 2], [1, 1]],
    }  # fmt: skip


TEXTS = [
    "It's well-known -- or it WAS; U.S. and/or snake_case 3.14",
    "日本語のテキスト text 漢字abc",
    "ที่นี่ abc हिन्दी में naïve e\u0301tude",
    "«Пример» текста… “quoted”",
    "👩‍👩‍👧 emoji\tand\x1fseparators\u3000here",
]


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_those_of_all_steps_without_punctuation(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    plain = "".join(
        ""
        if each in GOES or unicodedata.category(each) == "Cf"
        else " "
        if unicodedata.category(each)[0] in "PS"
        else each
        for each in text
    )
    runs = RunsOfWords(text)
    assert runs.words(0, runs.num_words) == [word.casefold() for word in words_of(plain)]


def test_hits_are_those_of_a_plain_search() -> None:
    """A set of word tuples, as the janitor of lm-evaluation-harness looks, over random texts of few words."""
    rng = random.Random(7)
    words = ["alpha", "beta", "gamma", "delta"]
    draw = lambda count: [rng.choice(words) for _ in range(count)]  # noqa: E731
    items = [draw(rng.randint(1, 9)) for _ in range(150)]
    index = Index.of({"set": map(" ".join, items)}, DecontaminationConfig(run_words=6, min_words=3, min_bytes=1))
    num_hits = 0
    for _ in range(100):
        text = draw(rng.randint(0, 60))
        expected = []
        for number, item in enumerate(items):
            size = min(len(item), 6)
            runs = {tuple(item[start : start + size]) for start in range(len(item) - size + 1)}
            if size >= 3 and runs & {tuple(text[start : start + size]) for start in range(len(text) - size + 1)}:
                expected.append(number)
        assert index.hits(", ".join(text).title()) == ({"set": tuple(expected)} if expected else {})
        num_hits += len(expected)
    assert num_hits > 500


def disguised(text: str, rng: random.Random) -> str:
    """Return a text with other case, punctuation at its ends and in it, and line breaks."""
    words = [rng.choice((word, word.upper(), word.capitalize())) for word in text.split()]
    words = [word.rstrip(".,;:!?") + rng.choice(("", "", ",", ";", " --", "...")) for word in words]
    return "".join(word + rng.choice((" ", " ", "\n", "\n    ", "  ")) for word in words)


def evaluation_sets(root: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(root / "blimp" / "BLiMP.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jsonl") and "MACOSX" not in name]
        blimp = [json.loads(line)["sentence_good"] for name in names for line in archive.read(name).splitlines()[:100]]
    found = {"blimp": blimp}
    found["rt-polarity"] = [
        line.strip()
        for side in ("pos", "neg")
        for line in (root / "rt-polarity" / f"rt-polarity.{side}").read_text(encoding="latin-1").splitlines()
    ]
    for language in ("en", "de", "ru", "hi", "zh"):
        data = json.loads(gzip.decompress((root / "xquad" / f"xquad.{language}.json.gz").read_bytes()))["data"]
        found[f"xquad-{language}"] = [
            each["question"] for article in data for paragraph in article["paragraphs"] for each in paragraph["qas"]
        ]
    sentences = (root / "wnut17" / "test.conll").read_text(encoding="utf-8").split("\n\n")
    found["wnut17"] = [" ".join(line.split("\t")[0] for line in each.splitlines()) for each in sentences]
    return found


def test_planted_questions_of_real_sets_are_found_and_novels_hold_none() -> None:
    """Needs the folder of published data sets that ROOTSTOCK_TEST_DATA names."""
    if not (root := os.environ.get("ROOTSTOCK_TEST_DATA")):
        pytest.skip("ROOTSTOCK_TEST_DATA names no folder of data sets")
    sets, rng = evaluation_sets(Path(root)), random.Random(1)
    settings = DecontaminationConfig()
    index = Index.of(sets, settings)
    books = [gzip.decompress(path.read_bytes()).decode() for path in sorted(Path(root, "gutenberg-mini").glob("*.gz"))]
    chunks = [book[start : start + 4000] for book in books for start in range(0, len(book), 4000)]
    assert [chunk for chunk in chunks if index.hits(chunk)] == []
    for name, texts in sets.items():
        long = [
            number for number, text in enumerate(texts) if Index.of({"one": [text]}, settings).sets()["one"]["searched"]
        ]
        planted = rng.sample(long, 200)
        hits = 0
        for number in planted:
            chunk = rng.choice(chunks)
            text = f"{chunk[:2000]} {disguised(texts[number], rng)} {chunk[2000:]}"
            hits += number in index.hits(text).get(name, ())
        assert hits >= 0.99 * len(planted), name
