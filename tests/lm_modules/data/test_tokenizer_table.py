"""The figures of a tokenizer by language and source, beside a reference; counted by another route."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from lm_modules.data.documents import Document
from lm_modules.data.tokenization import corpus_tokenizer, save_tokenizer
from lm_modules.data.tokenizer_table import TokenizerTable
from lm_modules.data.tokenizers.byte_bpe import ByteBpe
from lm_modules.data.tokenizers.bytes import Bytes

ENGLISH, GERMAN = "the cat saw the other cat", "die Straße sah den Käse"
DOCUMENTS = [
    Document("1", ENGLISH, "web", language="en"),
    Document("2", GERMAN, "books", language="de"),
    Document("3", f"{ENGLISH} twice", "web", language="en"),
]


@pytest.fixture
def tokenizer(tmp_path: Path):
    save_tokenizer(ByteBpe(vocabulary_size=320).train(iter([ENGLISH] * 9)), tmp_path)
    return corpus_tokenizer(tmp_path)


def test_figures_are_those_that_one_counts(tokenizer) -> None:
    table = TokenizerTable(tokenizer, None).add(DOCUMENTS)
    found = table.as_dict()
    num_tokens = [len(tokenizer.encode(document.text).ids) for document in DOCUMENTS]
    assert table.totals() == {
        "documents": 3,
        "bytes": sum(len(document.text.encode()) for document in DOCUMENTS),
        "tokens": sum(num_tokens),
        "bytes_per_token": found["all"]["bytes_per_token"],
    }
    german = found["languages"]["de"]
    assert german == found["sources"]["books"]
    assert german["tokens_per_word"] == pytest.approx(num_tokens[1] / 5, abs=1e-4)
    assert german["reference_tokens_per_word"] == pytest.approx(len(GERMAN.encode()) / 5, abs=1e-4)
    assert german["reference_bytes_per_token"] == 1
    assert found["languages"]["en"]["bytes_per_token"] > 2 * german["bytes_per_token"]
    words = [word for document in DOCUMENTS for word in document.text.split()]
    one = [word for word in words if len(tokenizer.encode(f" {word}").ids) == 1 or len(tokenizer.encode(word).ids) == 1]
    assert found["one_token_words"] == pytest.approx(len(one) / len(words), abs=1e-4)
    assert 0 < found["one_token_words"] < 1


def test_a_reference_is_a_directory(tokenizer, tmp_path: Path) -> None:
    save_tokenizer(Bytes().train(iter([])), tmp_path / "other")
    (named,) = [TokenizerTable(tokenizer, str(tmp_path / "other")).add(DOCUMENTS).as_dict()]
    plain = TokenizerTable(tokenizer, None).add(DOCUMENTS).as_dict()
    assert named["languages"] == plain["languages"]
    assert (named["reference"], plain["reference"]) == (str(tmp_path / "other"), "bytes")
    with pytest.raises(ValueError, match=r"tokenization\.reference '.*nowhere' is no directory"):
        TokenizerTable(tokenizer, str(tmp_path / "nowhere"))


def test_texts_that_are_not_given_back_are_named(tmp_path: Path) -> None:
    save_tokenizer(ByteBpe(vocabulary_size=320).train(iter([ENGLISH])), tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(content | {"normalizer": {"type": "Lowercase"}}))
    assert TokenizerTable(corpus_tokenizer(tmp_path), None).add(DOCUMENTS).changed == ["2"]


def test_the_report_card_shows_them(tokenizer) -> None:
    from lm_modules.reporting.sections.corpus import tokens

    table = TokenizerTable(tokenizer, None).add(DOCUMENTS).as_dict()
    mixture = {"languages": {"de": {"tokens": 30, "epochs": 2.0}, "en": {"tokens": 10, "epochs": 1.0}}, "sources": {}}
    meta = {"splits": {}, "dtype": "<u2", "vocab_size": 320, "mixture": mixture}
    facts = SimpleNamespace(tokenizer={"kind": "byte_bpe", "table": table}, tokens=meta)
    _, fit, _, epochs = tokens(facts).blocks
    assert [row[1] for row in fit.rows] == ["all", "de", "en", "books", "web"]
    assert fit.columns[-1] == "tokens a word, bytes"
    assert [row[-2:] for row in epochs.rows] == [["75.0 %", "2.00"], ["25.0 %", "1.00"]]
