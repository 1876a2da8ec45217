"""Questions in the files of SQuAD, whole and broken."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from configs.decontamination import DecontaminationConfig
from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.labelled.squad import Squad
from lm_modules.data.labelled_data import collect
from lm_modules.data.preparation import evaluation_texts
from lm_modules.heads.extractive_qa import ExtractiveQa


def question(number: str, context: str, answer: str) -> dict:
    return {
        "id": number,
        "question": f"what about {number}?",
        "answers": [{"text": answer, "answer_start": context.index(answer)}] if answer else [],
    }


def article(name: str, num_paragraphs: int = 2) -> dict:
    paragraphs = []
    for number in range(num_paragraphs):
        context = f"The {name} of part {number} is red."
        asked = [
            question(f"{name}-{number}-{index}", context, answer) for index, answer in enumerate(("red", name, ""))
        ]
        paragraphs.append({"context": context, "qas": asked})
    return {"title": name, "paragraphs": paragraphs}


NAMES = [f"{a}{b}" for a in "bcdfghklmn" for b in "aeiou"]


def write(path: Path, articles: list) -> Path:
    content = json.dumps({"version": "v2.0", "data": articles}).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def test_articles_become_examples_and_stay_together(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    write(tmp_path / "texts" / "a.json", [article(name) for name in NAMES[:25]])
    write(tmp_path / "texts" / "b.json.gz", [article(name) for name in NAMES[25:]])
    member = Squad(path=str(tmp_path / "texts"))
    report = collect(member, ExtractiveQa(), tmp_path / "set", seed=0)
    assert report["num_examples"] == 50 * 6
    assert report["split_by"] == "group"
    assert set(report["shared_groups"].values()) == {0}
    assert report["labels"] == report["dropped"] == {}
    row = json.loads((tmp_path / "set" / "train.jsonl").read_text().splitlines()[0])
    assert row.keys() == {"id", "question", "context", "answers", "group"}
    (only,) = row["answers"]
    assert row["context"][only["start"] :].startswith(only["text"])
    assert {each.id.split(":")[0] for each in member.examples()} == {"a.json", "b.json.gz"}


def test_a_given_test_part_is_kept_apart(tmp_path: Path) -> None:
    write(tmp_path / "train.json", [article(name) for name in NAMES])
    write(tmp_path / "dev.json", [article("xylophone")])
    member = Squad(path=str(tmp_path / "train.json"), test=str(tmp_path / "dev.json"))
    assert collect(member, ExtractiveQa(), tmp_path / "set", seed=0)["splits"]["test"] == 6
    assert member.splits_by() == "given"


def test_without_titles_the_questions_of_a_context_stay_together(tmp_path: Path) -> None:
    articles = [{"paragraphs": article(name)["paragraphs"]} for name in NAMES[:3]]
    groups = [each.group for each in Squad(path=str(write(tmp_path / "a.json", articles))).examples()]
    assert len(set(groups)) == 6
    assert groups == [each for first in range(0, 18, 3) for each in groups[first : first + 1] * 3]


def test_wrong_offsets_are_named_and_set_aside(tmp_path: Path) -> None:
    articles = [article(name) for name in NAMES]
    wrong = articles[0]["paragraphs"][0]["qas"]
    wrong[0]["answers"][0]["answer_start"] += 1
    wrong[1]["answers"][0]["answer_start"] = -1
    report = collect(Squad(path=str(write(tmp_path / "a.json", articles))), ExtractiveQa(), tmp_path / "set", seed=0)
    assert report["dropped"] == {"one of the 'answers' does not stand at its start in the context": 2}
    ledger = [json.loads(line) for line in (tmp_path / "set" / "ledger.jsonl").read_text().splitlines()]
    assert [each["id"] for each in ledger] == [f"a.json:{each['id']}" for each in wrong[:2]]


def test_what_is_not_as_it_should_be_is_told_by_its_place(tmp_path: Path) -> None:
    good, bad = article("good"), article("bad")
    bad["paragraphs"][0]["qas"][1] = {"id": 7, "question": "?", "answers": []}
    bad["paragraphs"][0]["qas"][2]["id"] = "good-0-0"
    bad["paragraphs"][1]["qas"][0].pop("answers")
    bad["paragraphs"][1]["qas"][1]["question"] = None
    bad["paragraphs"] += [{"context": 5, "qas": []}, "paragraph", {"context": "x"}]
    found = list(Squad(path=str(write(tmp_path / "a.json", [good, bad, [], {"paragraphs": {}}]))).examples())
    assert [each.excerpt for each in found if isinstance(each, Unreadable)] == [
        "data[1].paragraphs[0].qas[1]",
        "data[1].paragraphs[0].qas[2]",
        "data[1].paragraphs[1].qas[0]",
        "data[1].paragraphs[1].qas[1]",
        *(f"data[1].paragraphs[{number}]" for number in (2, 3, 4)),
        "data[2]",
        "data[3]",
    ]
    assert sum(isinstance(each, Example) for each in found) == 8
    assert len({each.reason for each in found if isinstance(each, Unreadable)}) == 4


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b'{"data": [', "not JSON"),
        ("a.json", b"[" * 100_000, "not JSON"),
        ("a.json", b'{"data": "caf\xe9"}', "not utf-8"),
        ("a.json", b"", "not JSON"),
        ("a.json.gz", b"no gzip", "damaged: it cannot be unpacked"),
        ("a.json.gz", gzip.compress(b'{"data": []}' + os.urandom(9000))[:-500], "truncated"),
        ("a.json.gz", gzip.compress(b" " * (70 << 20)), "set aside as a bomb"),
    ],
)
def test_a_file_that_cannot_be_read_takes_no_other_with_it(tmp_path: Path, name: str, content: bytes, reason: str):
    (tmp_path / name).write_bytes(content)
    write(tmp_path / "b.json", [article("good")])
    first, *others = Squad(path=str(tmp_path)).examples()
    assert isinstance(first, Unreadable)
    assert first.file.endswith(name)
    assert first.reason.startswith(reason)
    assert [type(each) for each in others] == [Example] * 6


@pytest.mark.parametrize("content", [[], {}, {"data": {}}, 5])
def test_json_that_is_no_squad_is_refused(tmp_path: Path, content) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"a\.json has no list of articles under 'data'; is it a file of SQuAD"):
        Squad(path=str(tmp_path)).check(Squad.gives)


DATA = Path(os.environ.get("ROOTSTOCK_TEST_DATA", "no folder is named"))


@pytest.mark.skipif(not (DATA / "xquad").is_dir(), reason="ROOTSTOCK_TEST_DATA names no folder with xquad")
@pytest.mark.parametrize("language", ["en", "zh", "ar"])
def test_every_question_of_xquad_is_read(tmp_path: Path, language: str) -> None:
    member = Squad(path=str(DATA / "xquad" / f"xquad.{language}.json.gz"))
    report = collect(member, ExtractiveQa(), tmp_path, seed=0)
    assert report["num_examples"] + sum(report["dropped"].values()) == 1190
    assert report["num_examples"] >= 1180


def test_decontamination_looks_for_questions_with_their_contexts(tmp_path: Path) -> None:
    write(tmp_path / "a.json", [article("fox", 1)])
    settings = DecontaminationConfig.model_validate({"sets": [{"kind": "squad", "path": str(tmp_path / "a.json")}]})
    assert evaluation_texts(settings, {}) == {
        "squad": [f"what about fox-0-{number}?\nThe fox of part 0 is red." for number in range(3)]
    }
