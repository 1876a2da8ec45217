"""What is wrong with the files of a configuration is told before anything is computed or filed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from configs.pipeline import PipelineConfig
from tasks.check_inputs import check_inputs
from tasks.home import home
from tasks.stage import stage


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "book.txt").write_text("A book.")
    (tmp_path / "texts.jsonl").write_text('not JSON\n{"text": "one"}\n' + "not JSON\n" * 3)
    pyarrow.parquet.write_table(pyarrow.table({"text": ["one"]}), tmp_path / "texts.parquet")
    (tmp_path / "labels.csv").write_text("text,label\none,two\n")
    (tmp_path / "test.csv").write_text("text,queue\none,two\n")
    (tmp_path / "broken.csv").write_text('"text,label\none,two\n')
    (tmp_path / "labels.jsonl").write_text('{"text": "one", "label": 2}\n')
    return tmp_path


def config(data: dict[str, Any] | None = None, source: dict[str, Any] | None = None) -> PipelineConfig:
    return PipelineConfig.model_validate(
        {
            "name": "checked",
            "data_preparation": {"sources": [source or {"kind": "text_files", "path": "book.txt"}]},
            "finetuning": {"base": "somewhere", "data": data or {"kind": "csv", "path": "labels.csv"}},
        }
    )


WRONG_LABELS = [
    ({"kind": "csv", "path": "nowhere.csv"}, "'nowhere.csv' does not exist"),
    ({"kind": "csv", "path": "empty"}, "folder 'empty' has no .csv or .tsv file"),
    ({"kind": "csv", "path": "labels.csv", "columns": {"label": "lable"}}, "no column 'lable'; did you mean 'label'"),
    ({"kind": "csv", "path": "labels.csv", "test": "test.csv"}, r"test\.csv has no column 'label'"),
    ({"kind": "csv", "path": "broken.csv"}, "its first line is not CSV"),
    ({"kind": "jsonl", "path": "labels.jsonl", "columns": {"label": "queue"}}, "no line has a field 'queue'"),
    ({"kind": "text_lines", "files": {"a": "book.txt", "b": "nowhere.txt"}}, "'nowhere.txt' does not exist"),
    ({"kind": "text_lines", "files": {"a": "book.txt", "b": "book.txt"}, "encoding": "utf-99"}, "unknown encoding"),
]
WRONG_SOURCES = [
    ({"kind": "text_files", "path": "nowhere"}, "'nowhere' does not exist"),
    ({"kind": "text_files", "path": "empty"}, "folder 'empty' has no .txt or .md file"),
    ({"kind": "jsonl", "path": "texts.jsonl", "text_field": "body"}, "no line has a field 'body'"),
    ({"kind": "parquet", "path": "texts.parquet", "text_field": "txt"}, "no column 'txt'; did you mean 'text'"),
    ({"kind": "parquet", "path": "book.txt"}, "book.txt: damaged, or no parquet file"),
]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("data", "words"), WRONG_LABELS)
def test_wrong_labels_are_refused_whichever_stage_begins(data: dict[str, Any], words: str) -> None:
    for name in ("pipeline", "prepare", "finetune"):
        with pytest.raises(ValueError, match=words):
            check_inputs(config(data), name)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("source", "words"), WRONG_SOURCES)
def test_wrong_sources_are_refused_where_text_is_read(source: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_inputs(config(source=source), "pipeline")
    check_inputs(config(source=source), "finetune")


@pytest.mark.usefixtures("files")
def test_what_is_in_order_passes_broken_lines_too() -> None:
    check_inputs(config({"kind": "jsonl", "path": "labels.jsonl"}, {"kind": "jsonl", "path": "texts.jsonl"}), "prepare")
    check_inputs(config(source={"kind": "parquet", "path": "texts.parquet"}), "prepare")


@pytest.mark.usefixtures("files")
def test_the_first_stage_refuses_before_anything_is_filed() -> None:
    before = sorted(home().rglob("*"))
    with (
        pytest.raises(ValueError, match="nowhere"),
        stage("prepare", config({"kind": "csv", "path": "nowhere.csv"})),
    ):
        pytest.fail("the stage began")
    assert sorted(home().rglob("*")) == before


def test_what_is_learned_beside_is_looked_at_too(files: Path) -> None:
    topics = {"head": "sequence_classification", "data": {"kind": "csv", "path": "nowhere.csv"}}
    data = {"kind": "csv", "path": "labels.csv"}
    config = PipelineConfig.model_validate({"finetuning": {"base": "base", "data": data, "beside": {"topics": topics}}})
    with pytest.raises(ValueError, match=r"finetuning\.beside\.topics\.data: .*nowhere\.csv"):
        check_inputs(config, "finetune")
