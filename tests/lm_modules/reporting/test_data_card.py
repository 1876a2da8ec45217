from __future__ import annotations

import json
import random
from html.parser import HTMLParser

import pytest
import yaml

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.preparation import prepare
from lm_modules.reporting.data_card import as_html, as_markdown
from lm_modules.reporting.words import count

WORDS = "fox dog moon river stone bread window song letter garden winter ship bird lamp road fire glass wool".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """Return the report and the samples of a corpus with copies, near-copies and short texts."""
    folder = tmp_path_factory.mktemp("texts")
    draw = random.Random(0)
    rows = [" ".join(draw.choices(WORDS, k=60)) for _ in range(60)]
    rows += [rows[5], f"{rows[7]} It <b>really</b> does.", "short"]
    (folder / "texts.jsonl").write_text("\n".join(json.dumps({"text": row}) for row in rows))
    source = {"kind": "jsonl", "path": str(folder), "licence": "cc0-1.0", "origin": "written for a test"}
    config = DataPreparationConfig.model_validate({"sources": [source], "deduplication": ["exact", "minhash"]})
    report = prepare(config, folder / "corpus", seed=0)
    samples = [json.loads(line) for line in (folder / "corpus" / "samples.jsonl").read_text().splitlines()]
    return report, samples


def test_the_card_tells_what_was_removed_and_why(card) -> None:
    text = as_markdown(*card)
    assert "| length | fewer than 5 words | 1 |" in text
    assert "exact: 1 copies in 1 clusters" in text
    assert "minhash:" in text
    assert "cc0-1.0" in text
    assert "written for a test" in text
    assert "Personal data was not looked for." in text
    assert "Near-duplicates, which" not in text
    header = yaml.safe_load(text.split("---")[1])
    assert header["license"] == ["cc0-1.0"]


def plain(number: int) -> str:
    return count(number).replace("\u202f", " ")


def test_the_card_tells_how_much_text_and_how_many_tokens_each_step_left(card) -> None:
    report, samples = card
    steps = {step["step"]: step for step in report["steps"]}
    into, out = (plain(steps["length"][key]) for key in ("characters_in", "characters_out"))
    assert f"| length | {into} | {out} |\n" in as_markdown(report, samples)
    split = {"num_documents": 58, "num_tokens": report["bytes"] // 4, "num_bytes": report["bytes"]}
    tokens = {"splits": {"train": split}, "dtype": "<u2", "vocab_size": 512}
    text = as_markdown(report | {"tokens": tokens}, samples)
    assert f"| length | {into} | {out} | {plain(round(steps['length']['characters_in'] / 4))} |" in text
    assert f"| train | 58 | {plain(report['bytes'] // 4)} |" in text


def test_the_page_is_whole_and_holds_no_markup_of_the_documents(card) -> None:
    page = as_html(*card)
    HTMLParser().feed(page)
    assert "<b>really" not in page
    assert "Data card" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
