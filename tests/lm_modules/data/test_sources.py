from __future__ import annotations

import json

import pyarrow
import pyarrow.parquet
import pytest

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.sources.hugging_face import HuggingFace
from lm_modules.data.sources.jsonl import Jsonl
from lm_modules.data.sources.parquet import Parquet
from lm_modules.data.sources.text_files import TextFiles, cut


def test_folder_is_read_to_its_depths_by_suffix(tmp_path) -> None:
    for name in ("b.txt", "deep/er/a.md", "c.rst", ".hidden/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = list(TextFiles(path=str(tmp_path)).documents())
    assert [each.id for each in found] == ["b.txt", "deep/er/a.md"]
    assert [each.id for each in TextFiles(path=f"{tmp_path}/*.rst").documents()] == ["c.rst"]
    assert [each.text for each in TextFiles(path=str(tmp_path / "c.rst")).documents()] == ["c.rst"]


def test_ids_and_fingerprints_tell_folders_apart(tmp_path) -> None:
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "x.txt").write_text(part)
        (tmp_path / part / "x.jsonl").write_text('{"text": "x"}')
    assert [each.id for each in Jsonl(path=str(tmp_path)).documents()] == ["a/x.jsonl:1", "b/x.jsonl:1"]
    assert [each.id for each in TextFiles(path=f"{tmp_path}/*/x.txt").documents()] == ["a/x.txt", "b/x.txt"]
    before = Jsonl(path=f"{tmp_path}/*/x.jsonl").fingerprint()
    (tmp_path / "a").rename(tmp_path / "c")
    assert Jsonl(path=f"{tmp_path}/*/x.jsonl").fingerprint() != before


@pytest.mark.parametrize("source", [TextFiles, Jsonl, Parquet])
def test_missing_and_empty_inputs_are_named(source, tmp_path) -> None:
    for act in (lambda each: list(each.documents()), lambda each: each.fingerprint()):
        with pytest.raises(ValueError, match=r"nowhere.*does not exist.*correct the path"):
            act(source(path=str(tmp_path / "nowhere")))
        with pytest.raises(ValueError, match=r"has no .* file; name another folder"):
            act(source(path=str(tmp_path)))
        with pytest.raises(ValueError, match="no file matches"):
            act(source(path=str(tmp_path / "*.nothing")))


def test_text_that_is_not_utf8_is_set_aside(tmp_path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    (tmp_path / "good.txt").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9")
    bad, good = TextFiles(path=str(tmp_path)).documents()
    assert isinstance(bad, Unreadable)
    assert bad.file.endswith("bad.txt")
    assert good == Document("good.txt", "café", "text_files", group="good.txt")


@pytest.mark.parametrize("text", ["", "x" * 1000, "one two " * 200, "A paragraph of text.\n\n" * 50, "line\n" * 300])
def test_cutting_loses_nothing_and_keeps_the_bound(text: str) -> None:
    pieces = cut(text, 100)
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= 100
    assert all(len(piece) >= 50 for piece in pieces[:-1])


def test_long_files_are_cut_at_paragraphs_and_may_stay_together(tmp_path) -> None:
    (tmp_path / "book.txt").write_text("A paragraph of text.\n\n" * 100)
    pieces = list(TextFiles(path=str(tmp_path), document_characters=500).documents())
    assert len(pieces) > 4
    assert all(piece.text.endswith("\n\n") and piece.group is None for piece in pieces)
    together = TextFiles(path=str(tmp_path), document_characters=500, keep_files_together=True).documents()
    assert {piece.group for piece in together} == {"book.txt"}


def test_json_line_problems_are_told_apart(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good"}\n\n[1]\n{"text": 3}\n{"other": "x"}\nnull\n{"text": "good too"}\n')
    found = list(Jsonl(path=str(path)).documents())
    assert [each.text for each in found if isinstance(each, Document)] == ["good", "good too"]
    problems = {each.line: each.reason for each in found if isinstance(each, Unreadable)}
    assert problems == {
        3: "not a JSON object",
        4: "field 'text' is no string",
        5: "no field 'text'",
        6: "not a JSON object",
    }


def test_a_field_that_no_line_has_is_refused_with_those_there(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"body": "x", "title": "y"}))
    with pytest.raises(ValueError, match="no line has a field 'text'; the fields there are: body, title"):
        list(Jsonl(path=str(path)).documents())


def test_parquet_rows_become_documents_and_nulls_are_set_aside(tmp_path) -> None:
    table = pyarrow.table({"body": ["one", None, "three"], "book": ["a", "a", "b"]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    one, two, three = Parquet(path=str(tmp_path), text_field="body", group_field="book").documents()
    assert (one.text, one.group, three.text, three.group) == ("one", "a", "three", "b")
    assert isinstance(two, Unreadable)
    assert two.line == 2
    with pytest.raises(ValueError, match="no column 'bodi'; did you mean 'body'"):
        list(Parquet(path=str(tmp_path), text_field="bodi").documents())


def test_what_is_no_parquet_file_is_set_aside_and_refused_where_it_is_all_there_is(tmp_path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"text": ["one"]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_text("no parquet")
    one, bad = Parquet(path=str(tmp_path)).documents()
    assert one.text == "one"
    assert bad.file.endswith("b.parquet")
    assert "no parquet file" in bad.reason
    Parquet(path=str(tmp_path)).check()
    with pytest.raises(ValueError, match=r"b\.parquet.* no document that can be read .*no parquet file"):
        Parquet(path=str(tmp_path / "b.parquet")).check()


@pytest.mark.parametrize("streaming", [True, False])
def test_hugging_face_reads_a_directory_of_files(tmp_path, streaming: bool, monkeypatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    source = HuggingFace(dataset=str(tmp_path / "set"), streaming=streaming)
    assert [each.text for each in source.documents()] == ["one", "two"]
    with pytest.raises(ValueError, match="no column 'txt'; did you mean 'text'"):
        list(HuggingFace(dataset=str(tmp_path / "set"), text_field="txt", streaming=streaming).documents())


def test_hugging_face_reads_what_save_to_disk_wrote(tmp_path) -> None:
    import datasets

    rows = datasets.Dataset.from_dict({"text": ["one", None, "three"]})
    datasets.DatasetDict({"train": rows}).save_to_disk(str(tmp_path / "set"))
    one, two, three = HuggingFace(dataset=str(tmp_path / "set")).documents()
    assert (one.text, three.text) == ("one", "three")
    assert isinstance(two, Unreadable)
    assert HuggingFace(dataset=str(tmp_path / "set")).fingerprint()
    with pytest.raises(ValueError, match="no split 'tain'; did you mean 'train'"):
        list(HuggingFace(dataset=str(tmp_path / "set"), split="tain").documents())
