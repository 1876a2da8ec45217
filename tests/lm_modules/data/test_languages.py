"""Telling languages apart, on paragraphs written here, and on public sets where ROOTSTOCK_TEST_DATA says they lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from paragraphs import PARAGRAPHS

from configs.tokenization import TokenizationConfig
from lm_modules.data.encoding import corpus_tokenizer
from lm_modules.data.languages import SAMPLE_CHARACTERS, identify, known_languages
from lm_modules.data.tokenization import save_tokenizer


@pytest.mark.parametrize("code", PARAGRAPHS)
def test_a_paragraph_has_its_language(code: str) -> None:
    found, confidence = identify(PARAGRAPHS[code])
    assert found == code
    assert 0.8 < confidence <= 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("bs", "Niko nije znao tačno kada voz dolazi, a svako je s porodicom čekao"),
        ("hr", "Nitko nije znao točno kada vlak dolazi, a svatko je s obitelji čekao"),
        ("id", "Mereka tahu bahwa kantor itu sudah tutup karena hari Minggu,"),
        ("ms", "Mereka tahu bahawa pejabat itu sudah tutup kerana hari Ahad,"),
    ],
)
def test_neighbours_are_told_apart_by_their_own_words(code: str, text: str) -> None:
    same = " pred zgradom i gledao prema rijeci." if code in ("bs", "hr") else " tetapi semua orang menunggu di sana."
    assert identify(text + same)[0] == code


def test_what_has_no_words_has_no_language() -> None:
    assert identify("") == (None, 0.0)
    assert identify("12 + 34 = 46\n***") == (None, 0.0)


def test_code_is_no_language() -> None:
    code = "def f(x):\n    return [y for y in range(x) if y % 2]\n\nclass A(B):\n    x: int = 3\n    y = {k: v}\n" * 3
    found, confidence = identify(code)
    assert found not in PARAGRAPHS or confidence < 0.8


def test_the_longest_text_is_read_in_three_places() -> None:
    text = PARAGRAPHS["en"] * 20_000
    assert identify(text)[0] == "en"
    third = SAMPLE_CHARACTERS // 3
    pieces = "a" * third + "b" * third + "c" * third
    assert len(pieces) == SAMPLE_CHARACTERS
    mostly_german = PARAGRAPHS["en"][:third] + PARAGRAPHS["de"] * 50 + PARAGRAPHS["en"][-third:]
    assert identify(mostly_german)[1] < identify(PARAGRAPHS["de"] * 50)[1]


def test_the_languages_of_roots_are_known() -> None:
    from lm_modules.data.filters._roots import LANGUAGES

    assert known_languages() >= LANGUAGES


DATA = Path(os.environ.get("ROOTSTOCK_TEST_DATA", "no folder is named"))
needs_data = pytest.mark.skipif(
    not (DATA / "ud-pud").is_dir(), reason="ROOTSTOCK_TEST_DATA names no folder with ud-pud and udhr2"
)


@pytest.fixture(scope="module")
def benchmark():
    sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
    import languages

    return languages


@needs_data
def test_documents_of_200_characters_are_told_apart(benchmark) -> None:
    texts = {code: benchmark.documents_of(lines, 200) for code, lines in benchmark.sentences(DATA).items()}
    assert len(texts) == 12
    assert benchmark.accuracy(benchmark.confusions(texts)) >= 0.99


@needs_data
def test_declarations_are_told_apart_but_for_neighbours(benchmark) -> None:
    """Bosnian and Croatian, Indonesian and Malay, the two Norwegian standards may be taken for each other."""
    neighbours = {"hr": "bs", "bs": "hr", "id": "ms", "ms": "id", "nn": "no", "no": "nn"}
    found = dict(benchmark.confusions({c: benchmark.documents_of(ls, 200) for c, ls in benchmark.declarations(DATA)}))
    assert len(found) > 90
    assert benchmark.accuracy(found) >= 0.99
    as_one = sum(taken[code] + taken[neighbours.get(code)] for code, taken in found.items())
    assert as_one == sum(taken.total() for taken in found.values())


@needs_data
def test_the_preset_roots_keeps_clean_text_in_every_language(benchmark) -> None:
    for code, lines in benchmark.sentences(DATA).items():
        share, reasons = benchmark.kept_by("roots", code, benchmark.documents_of(lines, 0, 10))
        assert share >= 0.95, (code, reasons)


@needs_data
@pytest.mark.parametrize("kind", ["byte_bpe", "unigram", "word_piece", "characters", "bytes"])
def test_tokenizers_give_all_of_it_back_byte_for_byte(kind: str, benchmark, tmp_path) -> None:
    all_lines = [*benchmark.sentences(DATA).values(), *(lines for _, lines in benchmark.declarations(DATA))]
    texts = ["\n".join(lines) for lines in all_lines]
    assert sum(map(len, texts)) > 1_000_000
    config = TokenizationConfig.model_validate({"tokenizer": kind}).tokenizer
    save_tokenizer(config.train(iter(texts if kind == "characters" else texts[:20])), tmp_path)
    tokenizer = corpus_tokenizer(tmp_path)
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text
