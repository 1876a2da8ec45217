"""Every preset of data preparation can be used alone and over a pipeline; it keeps prose and drops what is none."""

from __future__ import annotations

import json

import pytest
from paragraphs import PARAGRAPHS

from configs.loading import load, presets
from lm_modules.data.documents import Document
from lm_modules.data.preparation import prepare

NAMES = [name for name, path in presets().items() if path.parent.name == "data_preparation"]
ENGLISH = " ".join(PARAGRAPHS["en"].split())
JUNK = {
    "menu": "Home\nAbout us\nContact\nHome\nLogin\nSign up\nHome\nAbout us\n" * 10,
    "numbers": "12 345 +++ 67.8 | 90 " * 40,
    "loop": "buy cheap watches now " * 60,
}


def test_there_are_the_four() -> None:
    assert {"c4", "fineweb", "gopher", "roots"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_nothing_but_filters_and_says_where_they_are_from(name: str) -> None:
    alone = load(name)
    assert alone.tokenization is None
    assert "arXiv" in (text := presets()[name].read_text()) or "JMLR" in text


@pytest.mark.parametrize("name", NAMES)
def test_over_a_pipeline_it_changes_the_filters_alone(name: str, tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text(f"extends: [small, {name}]\nname: small\n")
    mine, small = load(str(tmp_path / "mine.yaml")), load("small")
    assert mine.data_preparation.filters == load(name).data_preparation.filters
    same = {"exclude": {"extends": True, "data_preparation": {"filters"}}}
    assert mine.model_dump(**same) == small.model_dump(**same)


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_prose_and_drops_junk(name: str, tmp_path) -> None:
    texts = {f"prose {number}": f"Part {number}. {ENGLISH}" for number in range(6)} | JUNK
    rows = [{"text": text, "id": key} for key, text in texts.items()]
    (tmp_path / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = load(name, [f"data_preparation.sources=[{{kind: jsonl, path: {tmp_path / 'texts.jsonl'}}}]"])
    report = prepare(config.data_preparation, tmp_path / "corpus", seed=0)
    assert report["documents"] == 6
    dropped = [json.loads(line) for line in (tmp_path / "corpus" / "ledger.jsonl").read_text().splitlines()]
    assert len(dropped) == len(JUNK)


@pytest.mark.parametrize("language", PARAGRAPHS)
def test_roots_keeps_clean_text_of_every_language(language: str) -> None:
    document = Document("1", " ".join(PARAGRAPHS[language].split()), "texts", language=language)
    reasons = [
        each.reason_to_drop(document) for each in load("roots").data_preparation.filters if each.is_for(document)
    ]
    assert not any(reasons)
