"""CoNLL files: sentences, documents, and lines that cannot be used."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.labelled.conll import Conll
from lm_modules.data.labelled_data import collect
from lm_modules.heads.token_classification import TokenClassification

DATA = Path(os.environ.get("ROOTSTOCK_TEST_DATA", "no folder is named"))


def written(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def read(path: str, **settings) -> list[Example | Unreadable]:
    return list(Conll(path=path, **settings).examples(("words", "tags")))


def test_blank_lines_part_sentences_however_they_are_written(tmp_path):
    path = written(tmp_path / "a.conll", "\ufeffin\tO\r\nRome\tB-place\r\n\t\r\n\r\nBo\tB-person")
    first, second = read(path)
    assert dict(first.fields) == {"words": ["in", "Rome"], "tags": ["O", "B-place"]}
    assert dict(second.fields) == {"words": ["Bo"], "tags": ["B-person"]}
    assert (first.id, second.id) == ("a.conll:1", "a.conll:5")
    assert first.group is None


def test_columns_are_chosen_by_number(tmp_path):
    path = written(tmp_path / "a.conll", "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n")
    (entities,) = read(path)
    assert entities.fields["tags"] == ["B-ORG", "O"]
    (parts_of_speech,) = read(path, tag_column=2)
    assert parts_of_speech.fields["tags"] == ["NNP", "VBZ"]
    path = written(tmp_path / "b.conllu", "# text = EU rejects\n1\tEU\teu\tPROPN\n2\tre jects\treject\tVERB\n")
    (words,) = read(path, word_column=2, tag_column=4, comment="# ")
    assert dict(words.fields) == {"words": ["EU", "re jects"], "tags": ["PROPN", "VERB"]}
    (last,) = read(written(tmp_path / "c.conll", "O EU\nO rejects\n"), word_column=-1, tag_column=1)
    assert last.fields["words"] == ["EU", "rejects"]


def test_a_word_may_begin_as_a_comment_does(tmp_path):
    (tweet,) = read(written(tmp_path / "a.conll", "#photography\tO\n#\tO\n"))
    assert tweet.fields["words"] == ["#photography", "#"]


def test_documents_are_groups(tmp_path):
    path = written(tmp_path / "a.conll", "-DOCSTART- -X- O O\n\na O\n\nb O\n\n-DOCSTART- -X- O O\n\nc O\n")
    assert [each.group for each in read(path)] == ["a.conll:1", "a.conll:1", "a.conll:2"]
    assert {each.group for each in read(path, group_field=None)} == {None}


def test_a_bad_line_is_named_and_set_aside_with_its_sentence(tmp_path):
    path = written(tmp_path / "a.conll", b"in\tO\n\nto\tO\nRome\nwent\tO\n\nhe\tO\nca\xff\tO\n\nBo\tB-person\n\n\tO\n")
    good, bad = ([each for each in read(path) if isinstance(each, kind)] for kind in (Example, Unreadable))
    assert [each.fields["words"] for each in good] == [["in"], ["Bo"]]
    assert [(each.line, each.last_line, each.num_lines) for each in bad] == [(3, 5, 3), (7, 8, 2), (12, None, 1)]
    assert [each.reason for each in bad] == [
        "a word without a tag, or a tag without a word",
        "not UTF-8",
        "a word without a tag, or a tag without a word",
    ]
    assert bad[0].excerpt == "line 4: Rome"
    assert bad[1].excerpt.startswith("line 8: ca")


def test_what_cannot_be_is_refused(tmp_path):
    for settings, said in (
        ({"word_column": 0}, "counted from 1"),
        ({"tag_column": 1}, "are both 1"),
        ({"columns": {"words": "text"}}, "has no effect"),
        ({"group_field": "page"}, "choose document"),
    ):
        with pytest.raises(ValueError, match=said):
            Conll(path="a.conll", **settings)
    with pytest.raises(ValueError, match="has no sentences"):
        Conll(path=written(tmp_path / "a.conll", "\n\n")).check(("words", "tags"))


def test_a_labelled_set_of_words_is_collected(tmp_path):
    lines = [f"word{number}\t{'B-a' if number % 3 else 'O'}\nthere\tO\n\n" for number in range(60)]
    path = written(tmp_path / "a.conll", "".join(lines) + lines[0] + "there\tX\nlost\n")
    report = collect(Conll(path=path), TokenClassification(), tmp_path / "data", seed=0)
    assert report["num_examples"] == 60
    assert report["dropped"] == {"copy": 1, "a word without a tag, or a tag without a word": 1}
    assert set(report["labels"]) == {"O", "B-a"}
    rows = [json.loads(line) for line in (tmp_path / "data" / "test.jsonl").read_text().splitlines()]
    assert all(len(row["words"]) == len(row["tags"]) for row in rows)


def sentences(count: int, first: int = 0) -> str:
    return "".join(f"word{number}\t{'B-a' if number % 3 else 'O'}\n\n" for number in range(first, first + count))


def test_one_document_is_split_by_sentence_with_a_warning(tmp_path, caplog):
    path = written(tmp_path / "a.conll", "-DOCSTART- -X- O O\n\n" + sentences(300))
    report = collect(Conll(path=path), TokenClassification(), tmp_path / "data", seed=0)
    collect(Conll(path=path, group_field=None), TokenClassification(), tmp_path / "alone", seed=0)
    for split in ("train", "validation", "test"):
        assert (tmp_path / "data" / f"{split}.jsonl").read_text() == (tmp_path / "alone" / f"{split}.jsonl").read_text()
    assert set(report["shared_groups"].values()) == {0}
    (warning,) = caplog.messages
    assert warning.startswith("all 300 examples of finetuning.data that have no split are of one group")
    assert "name validation and test examples of their own, or choose another group_field" in warning


def test_one_document_stays_whole_where_nothing_is_cut_off(tmp_path, caplog):
    parts = {
        name: written(tmp_path / f"{name}.conll", "-DOCSTART- -X- O O\n\n" + sentences(20, first))
        for name, first in (("path", 0), ("validation", 20), ("test", 40))
    }
    report = collect(Conll(**parts), TokenClassification(), tmp_path / "data", seed=0)
    assert report["splits"] == {"train": 20, "validation": 20, "test": 20}
    assert json.loads((tmp_path / "data" / "train.jsonl").read_text().splitlines()[0])["group"] == "path.conll:1"
    assert not caplog.messages
    del parts["validation"]
    assert collect(Conll(**parts), TokenClassification(), tmp_path / "two", seed=0)["splits"]["validation"] > 0
    assert len(caplog.messages) == 1


def test_too_few_documents_for_the_splits_are_said_with_what_helps(tmp_path):
    start = "-DOCSTART- -X- O O\n\n"
    path = written(tmp_path / "a.conll", start + sentences(20) + start + sentences(20, 20) + "lost\n")
    said = (
        r"groups stay in one split, and the 40 examples come in 2 \(dropped: 1 for.*name validation and test examples"
    )
    with pytest.raises(ValueError, match=said):
        collect(Conll(path=path), TokenClassification(), tmp_path / "data", seed=0)


@pytest.mark.skipif(not (DATA / "wnut17").is_dir(), reason="ROOTSTOCK_TEST_DATA names no folder with wnut17")
def test_a_published_set_is_read_whole():
    for name, sentences, words in (("train", 3394, 62730), ("dev", 1009, 15733), ("test", 1287, 23394)):
        found = read(str(DATA / "wnut17" / f"{name}.conll"))
        assert all(isinstance(each, Example) for each in found)
        assert (len(found), sum(len(each.fields["words"]) for each in found)) == (sentences, words)
