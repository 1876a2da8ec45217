"""Filters of Gopher, C4 and FineWeb give the verdicts of DataTrove, given the same words and sentences.

ROOTSTOCK_TEST_TEXTS=10000 asks for more documents than the usual 2,000, and ROOTSTOCK_TEST_DATA names a folder of texts
to make some of them from.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

datatrove_filters = pytest.importorskip("datatrove.pipeline.filters", reason="datatrove is not installed")

from datatrove.data import Document as TheirDocument  # noqa: E402
from mutated_texts import library_texts, mutated, texts_under  # noqa: E402

from lm_modules.data.documents import Document  # noqa: E402
from lm_modules.data.filters._sentences import num_sentences  # noqa: E402
from lm_modules.data.filters.c4 import C4  # noqa: E402
from lm_modules.data.filters.fineweb import Fineweb  # noqa: E402
from lm_modules.data.filters.gopher_quality import GopherQuality  # noqa: E402
from lm_modules.data.filters.repetition import Repetition  # noqa: E402
from lm_modules.data.text_words import words_of  # noqa: E402

NUM_TEXTS = int(os.environ.get("ROOTSTOCK_TEST_TEXTS", 2_000))
MOST_DIFFERENCES = 0.001
"""One kind is known: DataTrove's list of punctuation lacks some signs ("•", "§", "→"), and a word of these counts."""


@pytest.fixture(scope="module")
def texts() -> list[str]:
    texts = list(library_texts())
    if folder := os.environ.get("ROOTSTOCK_TEST_DATA"):
        others = list(texts_under(Path(folder)))
        texts = [*texts, *random.Random(0).sample(others, min(len(others), 2 * len(texts)))]
    return [text for text in mutated(texts, NUM_TEXTS, seed=1) if text.strip()]


@pytest.fixture(autouse=True)
def _our_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("gopher_quality_filter", "gopher_repetition_filter", "fineweb_quality_filter"):
        name = f"datatrove.pipeline.filters.{module}.split_into_words"
        monkeypatch.setattr(name, lambda text, language: list(words_of(text)))
    name = "datatrove.pipeline.filters.c4_filters.split_into_sentences"
    monkeypatch.setattr(name, lambda text, language: [""] * num_sentences(text))


PAIRS = {
    "gopher quality": (GopherQuality(), "GopherQualityFilter", {}),
    "gopher repetition": (Repetition(characters="all"), "GopherRepetitionFilter", {}),
    "c4": (C4(), "C4QualityFilter", {}),
    "c4 in fineweb": (C4(end_marks=False), "C4QualityFilter", {"filter_no_terminal_punct": False}),
    "fineweb": (Fineweb(), "FineWebQualityFilter", {}),
}
LEAST_REASONS = {"gopher quality": 9, "gopher repetition": 12, "c4": 3, "c4 in fineweb": 3, "fineweb": 4}
"""How many of their reasons the texts must bring about."""


@pytest.mark.parametrize("name", PAIRS)
def test_verdicts_are_those_of_datatrove(name: str, texts: list[str]) -> None:
    ours, kind, settings = PAIRS[name]
    theirs = getattr(datatrove_filters, kind)(**settings)
    reasons: Counter[str] = Counter()
    different = []
    for number, text in enumerate(texts):
        reason = ours.reason_to_drop(Document(str(number), text, "texts"))
        verdict = theirs.filter(TheirDocument(text=text, id=str(number)))
        reasons["kept" if verdict is True else verdict[1]] += 1
        if (reason is None) != (verdict is True):
            different.append((reason, verdict, text[:200]))
    print(f"{name}: {len(different)} of {len(texts)} differ; {dict(reasons.most_common())}")
    assert len(different) <= MOST_DIFFERENCES * len(texts), different
    assert 0.1 * len(texts) < reasons.pop("kept") < 0.9 * len(texts)
    assert len(reasons) >= LEAST_REASONS[name], reasons


def test_no_document_is_too_long_for_one_and_not_for_the_other() -> None:
    for count, verdict in ((50_000, True), (50_001, (False, "gopher_long_doc"))):
        text = "the have " * count
        assert datatrove_filters.GopherQualityFilter().filter(TheirDocument(text=text, id="1")) == verdict
        assert (GopherQuality().reason_to_drop(Document("1", text, "texts")) is None) == (verdict is True)


@pytest.mark.parametrize("sign", ["•", "→"])
def test_the_difference_that_is_known(sign: str) -> None:
    text = " ".join(["the", "and", *["word"] * 47, sign])
    assert GopherQuality().reason_to_drop(Document("1", text, "texts")) == "fewer than 50 words"
    assert datatrove_filters.GopherQualityFilter().filter(TheirDocument(text=text, id="1")) is True
