"""Labelled examples in Parquet files and data sets of `datasets`, whole and broken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from lm_modules.data.documents import Example, Unreadable
from lm_modules.data.labelled.hugging_face import HuggingFace
from lm_modules.data.labelled.jsonl import Jsonl
from lm_modules.data.labelled.parquet import Parquet
from lm_modules.data.labelled_data import collect
from lm_modules.heads.extractive_qa import ExtractiveQa
from lm_modules.heads.regression import Regression
from lm_modules.heads.sequence_classification import SequenceClassification

HEAD = SequenceClassification()
FIELDS = ("text", "label")
NAMES = ["bad", "good"]


@pytest.fixture(autouse=True)
def _quiet_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / ".cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def rows(count: int, offset: int = 0) -> dict[str, list]:
    numbers = range(offset, offset + count)
    return {
        "text": [f"example {letters(number)} of a text" for number in numbers],
        "label": [number % 2 for number in numbers],
        "book": [f"book {number % 20}" for number in numbers],
    }


def with_names(found: dict[str, list]) -> datasets.Dataset:
    kinds = {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=NAMES),
        "book": datasets.Value("string"),
    }
    return datasets.Dataset.from_dict(found, features=datasets.Features(kinds))


def examples(member, fields=FIELDS) -> list[Example]:
    found = list(member.examples(fields))
    assert all(isinstance(each, Example) for each in found), found
    return found


# --- Parquet ----------------------------------------------------------------------------------------------------------


def test_rows_are_examples_split_by_group(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table(rows(200)), tmp_path / "a.parquet", row_group_size=33)
    member = Parquet(path=str(tmp_path), group_field="book", label_names=("no", "yes"))
    report = collect(member, HEAD, tmp_path / "set", seed=0)
    assert report["num_examples"] == 200
    assert list(report["labels"]) == ["no", "yes"]
    assert set(report["shared_groups"].values()) == {0}
    assert [each.id for each in member.examples(FIELDS)] == [f"a.parquet:{number}" for number in range(1, 201)]


@pytest.mark.parametrize("kind", [Parquet, Jsonl])
def test_true_and_false_are_labels_and_no_scores(kind, tmp_path: Path) -> None:
    found = rows(200)
    found["label"] = [bool(number) for number in found["label"]]
    if kind is Parquet:
        pyarrow.parquet.write_table(pyarrow.table(found), tmp_path / "a.parquet")
    else:
        lines = (dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True))
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = collect(kind(path=str(tmp_path)), HEAD, tmp_path / "set", seed=0)
    assert report["dropped"] == {}
    assert [(label, sum(each.values())) for label, each in report["labels"].items()] == [("false", 100), ("true", 100)]
    several = SequenceClassification(multi_label=True).checked({"text": "a", "label": [True, "x"]})
    assert several["label"] == ["true", "x"]
    with pytest.raises(ValueError, match="field 'score' is no number"):
        Regression().checked({"text": "a", "score": True})


def test_columns_of_other_names_and_parts_that_are_given(tmp_path: Path) -> None:
    for name, offset in (("train", 0), ("test", 300)):
        found = rows(60, offset)
        table = pyarrow.table({"message": found["text"], "queue": found["label"], "text": [1.5] * 60})
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
    member = Parquet(
        path=str(tmp_path / "train.parquet"),
        test=str(tmp_path / "test.parquet"),
        columns={"text": "message", "label": "queue"},
    )
    assert collect(member, HEAD, tmp_path / "set", seed=0)["splits"]["test"] == 60
    with pytest.raises(ValueError, match=r"train\.parquet has no column 'massage'; did you mean 'message'"):
        Parquet(path=str(tmp_path / "train.parquet"), columns={"text": "massage"}).check(FIELDS)


def test_names_of_labels_that_a_file_carries_are_used_and_own_ones_win(tmp_path: Path) -> None:
    found = rows(3)
    found["label"][2] = -1
    with_names(found).to_parquet(tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    assert [each.fields["label"] for each in examples(Parquet(path=path))] == ["bad", "good", None]
    own = Parquet(path=path, label_names=("no", "yes"))
    assert [each.fields["label"] for each in examples(own)] == ["no", "yes", None]
    table = pyarrow.parquet.read_table(path).replace_schema_metadata({"huggingface": "not json"})
    pyarrow.parquet.write_table(table, path)
    assert [each.fields["label"] for each in examples(Parquet(path=path))] == [0, 1, -1]


def test_a_row_that_is_not_utf8_takes_no_other_with_it(tmp_path: Path) -> None:
    texts = pyarrow.array([b"good", b"caf\xe9", None, b"fine"]).cast(pyarrow.binary())
    column = pyarrow.Array.from_buffers(pyarrow.string(), 4, texts.buffers())
    for encoded in (False, True):
        table = pyarrow.table({"text": column, "label": ["a", "b", "a", "b"]})
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet", use_dictionary=encoded)
        found = list(Parquet(path=str(tmp_path)).examples(FIELDS))
        assert found[1] == Unreadable("parquet", str(tmp_path / "a.parquet"), 2, "column 'text' is not UTF-8")
        assert [each.id for each in found if isinstance(each, Example)] == [
            f"a.parquet:{number}" for number in (1, 3, 4)
        ]
        assert found[2].fields["text"] is None  # the head says that it is no string


def test_damaged_files_are_set_aside_and_others_read(tmp_path: Path) -> None:
    table = pyarrow.table({"text": [os.urandom(50).hex() for _ in range(3000)], "label": ["a"] * 3000})
    path = tmp_path / "c.parquet"
    pyarrow.parquet.write_table(table, path, row_group_size=500, use_dictionary=False)
    data = bytearray(path.read_bytes())
    (tmp_path / "a.parquet").write_bytes(data[: len(data) // 2])
    (tmp_path / "b.parquet").write_bytes(b"rubbish" * 100)
    (tmp_path / "d.parquet").write_bytes(b"")
    data[len(data) // 2 : len(data) // 2 + 10_000] = os.urandom(10_000)
    (tmp_path / "e.parquet").write_bytes(data)
    found = list(Parquet(path=str(tmp_path)).examples(FIELDS))
    bad = [each for each in found if isinstance(each, Unreadable)]
    assert {Path(each.file).name for each in bad} == {f"{name}.parquet" for name in "abde"}
    assert all(each.reason.startswith("damaged") for each in bad)
    assert sum(isinstance(each, Example) and each.id.startswith("c.") for each in found) == 3000


def test_few_bytes_do_not_become_many(tmp_path: Path) -> None:
    column = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 600, pyarrow.int32()), pyarrow.array(["a" * (1 << 20)])
    )
    table = pyarrow.table({"text": column, "label": ["a"] * 600})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", compression="zstd")
    *some, last = Parquet(path=str(tmp_path)).examples(FIELDS)
    assert isinstance(last, Unreadable)
    assert last.reason.startswith("set aside as a bomb")
    assert len(some) < 100


def test_answers_are_read_as_structures(tmp_path: Path) -> None:
    found = [
        {
            "question": f"what is {letters(number)}?",
            "context": f"{letters(number)} is red",
            "answers": {"text": ["red"], "answer_start": [len(letters(number)) + 4]},
        }
        for number in range(100)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(found), tmp_path / "a.parquet")
    report = collect(Parquet(path=str(tmp_path)), ExtractiveQa(), tmp_path / "set", seed=0)
    assert report["num_examples"] == 100


# --- datasets ---------------------------------------------------------------------------------------------------------


def save(kind: str, folder: Path, parts: dict[str, datasets.Dataset]) -> Path:
    if kind == "disk":
        datasets.DatasetDict(parts).save_to_disk(folder)
    else:
        folder.mkdir()
        for name, part in parts.items():
            part.to_parquet(folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("kind", ["disk", "files"])
def test_splits_are_mapped_and_numbers_get_their_names(kind: str, streaming: bool, tmp_path: Path) -> None:
    offsets = {"train": 0, "validation": 200, "test": 400}
    folder = save(kind, tmp_path / "hub", {name: with_names(rows(80, offset)) for name, offset in offsets.items()})
    member = HuggingFace(dataset=str(folder), validation="validation", test="test", streaming=streaming)
    report = collect(member, HEAD, tmp_path / "set", seed=0)
    assert report["splits"] == {"train": 80, "validation": 80, "test": 80}
    assert list(report["labels"]) == NAMES
    assert report["split_by"] == "given"
    first = json.loads((tmp_path / "set" / "test.jsonl").read_text().splitlines()[0])
    assert first == {"id": "hub/test:1", "text": "example eaa of a text", "label": "bad", "group": None}
    only = HuggingFace(dataset=str(folder), streaming=streaming, group_field="book")
    shared = collect(only, HEAD, tmp_path / "one", seed=0)
    assert shared["num_examples"] == 80
    assert set(shared["shared_groups"].values()) == {0}
    other = HuggingFace(dataset=str(folder), test="validation", train="test", streaming=streaming)
    assert {each.id.split(":")[0] for each in examples(other)} == {"hub/test", "hub/validation"}
    assert only.fingerprint() == member.fingerprint()


def test_what_a_data_set_does_not_have_is_named(tmp_path: Path) -> None:
    folder = save("disk", tmp_path / "hub", {"train": with_names(rows(10))})
    with pytest.raises(ValueError, match="has no column 'txt'; did you mean 'text'"):
        HuggingFace(dataset=str(folder), columns={"text": "txt"}).check(FIELDS)
    with pytest.raises(ValueError, match="has no split 'tran'; did you mean 'train'"):
        HuggingFace(dataset=str(folder), train="tran").check(FIELDS)
    with pytest.raises(ValueError, match=r"name one split twice \(train, train\)"):
        HuggingFace(dataset=str(folder), test="train")
    with pytest.raises(ValueError, match=r"test_fraction 0.3 has no effect, because 'test' names a split"):
        HuggingFace(dataset=str(folder), test="test", test_fraction=0.3)


def test_labels_that_are_withheld_are_no_class(tmp_path: Path) -> None:
    found = rows(100)
    found["label"][5:15] = [-1] * 10
    folder = save("files", tmp_path / "hub", {"train": with_names(found)})
    report = collect(HuggingFace(dataset=str(folder)), HEAD, tmp_path / "set", seed=0)
    assert report["dropped"] == {"field 'label' is neither a string nor a whole number": 10}
    assert list(report["labels"]) == NAMES


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "content", [b'{"text": "a", "label": "b"}\n{"text": \n', b'{"text": "caf\xe9", "label": "b"}\n']
)
def test_a_file_that_datasets_cannot_read_is_said_with_what_can(
    content: bytes, streaming: bool, tmp_path: Path
) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "train.jsonl").write_bytes(content)
    member = HuggingFace(dataset=str(tmp_path / "hub"), streaming=streaming)
    with pytest.raises(ValueError, match="name them with kind: jsonl, csv or parquet"):
        list(member.examples(FIELDS))
