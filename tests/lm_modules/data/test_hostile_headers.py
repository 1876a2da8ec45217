"""Files whose headers lie: about lengths, encodings, how far they grow. Each is set aside, for one of few reasons."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from read_sources import in_child, read
from source_inputs import http_response, page, warc_record

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.json_lines import MOST_FIELDS, FieldsFound
from lm_modules.data.sources.arrow import Arrow
from lm_modules.data.sources.csv import Csv
from lm_modules.data.sources.html import Html
from lm_modules.data.sources.hugging_face import HuggingFace
from lm_modules.data.sources.jsonl import Jsonl
from lm_modules.data.sources.markdown import Markdown
from lm_modules.data.sources.parquet import Parquet
from lm_modules.data.sources.text_files import TextFiles
from lm_modules.data.sources.warc import Warc

HTTP = "application/http; msgtype=response"


def answer(head: bytes, body: bytes) -> bytes:
    return warc_record("response", "http://x/1", b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body, HTTP)


def test_lengths_and_encodings_of_a_web_archive_are_taken_for_what_they_can_be(tmp_path: Path) -> None:
    good = warc_record("response", "http://x/2", http_response(page(1)), HTTP)
    chunked = b"Content-Type: text/plain\r\nTransfer-Encoding: chunked"
    (tmp_path / "chunk.warc").write_bytes(answer(chunked, b"5\r\nhello\r\n-6\r\nhello\r\n0\r\n\r\n") + good)
    digits = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"
    (tmp_path / "digits.warc").write_bytes(good + digits)
    status = warc_record("response", "http://x/1", b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\nhello", HTTP)
    (tmp_path / "status.warc").write_bytes(status + good)
    packings = answer(b"Content-Type: text/plain\r\nContent-Encoding: " + b"gzip," * 6, b"x")
    (tmp_path / "packings.warc").write_bytes(packings + good)
    charsets = ("undefined", "punycode", "unicode_escape", "utf-7", "idna")
    for charset in charsets:
        head = f"Content-Type: text/plain; charset={charset}".encode()
        (tmp_path / f"{charset}.warc").write_bytes(answer(head, b"hello " + b"a" * 80 + b".x \\x41") + good)
        (tmp_path / f"{charset}.html").write_bytes(f"<meta charset={charset}><p>hello .x</p>".encode())
    texts, reasons = read(Warc(path=str(tmp_path)))
    assert sorted(texts) == sorted(
        ["chunk.warc:2", "digits.warc:1", "status.warc:2", "packings.warc:2", *(f"{each}.warc:2" for each in charsets)]
    )
    unknown = "it names an encoding that the web does not know; save it as UTF-8, or name its encoding"
    assert all(reasons[f"{each}.warc:1"].startswith(unknown) for each in charsets)
    assert all(each.startswith(unknown) for each in read(Html(path=str(tmp_path)))[1].values())
    assert not any("999" in each or "222" in each for each in reasons.values())


def test_answers_that_are_no_page_are_counted(tmp_path: Path) -> None:
    records = [
        warc_record("request", "http://x/1", b"GET / HTTP/1.1\r\n\r\n", "application/http; msgtype=request"),
        warc_record("response", "http://x/1", http_response(page(1)), HTTP),
        warc_record("response", "http://x/2", http_response(b"png", "image/png"), HTTP),
        warc_record("response", "http://x/3", b"HTTP/1.1 404 Not Found\r\n\r\n", HTTP),
        warc_record("revisit", "http://x/1", b"HTTP/1.1 200 OK\r\n\r\n", HTTP),
    ]
    (tmp_path / "a.warc").write_bytes(b"".join(records))
    texts, reasons = read(Warc(path=str(tmp_path)))
    assert list(texts) == ["a.warc:2"]
    assert list(reasons) == ["a.warc:3", "a.warc:4", "a.warc:5"]
    assert all(each.startswith("left out: ") for each in reasons.values())


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "x,y"},
        {"GNU.sparse.size": "x"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    ],
)
def test_a_sparse_header_that_is_none_sets_the_tar_file_aside(headers: dict[str, str], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.txt", "b.txt"):
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = 4, dict(headers) if name == "b.txt" else {}
            archive.addfile(info, io.BytesIO(b"text"))
    texts, reasons = read(TextFiles(path=str(tmp_path / "a.tar")))
    assert texts == {"a.tar/a.txt": "text"}
    assert reasons == {"a.tar": "damaged: a tar file with a header that cannot be read"}


def test_a_zip_file_with_a_strange_table_is_set_aside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    table = data.index(b"PK\x01\x02")
    data[table + 6] = 99  # the version that is needed to unpack it
    (tmp_path / "a.zip").write_bytes(data)
    assert read(TextFiles(path=str(tmp_path / "a.zip")))[1] == {
        "a.zip": "damaged: a zip file with a table of files that cannot be read"
    }
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "text")
        archive.writestr("b.txt", "good")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    for mark, head, name in ((b"PK\x03\x04", 26, 30), (b"PK\x01\x02", 28, 46)):
        place = data.index(mark)
        data[place + head : place + head + 2] = b"\0\0"
        # what was the name is an extra field of one byte
        data[place + head + 2 : place + head + 4] = b"\1\0"
        assert data[place + name] == ord("a")
    (tmp_path / "a.zip").write_bytes(data)
    texts, reasons = read(TextFiles(path=str(tmp_path / "a.zip")))
    assert texts == {"a.zip/b.txt": "good"}
    assert list(reasons.values()) == ["a file without a name"]


def test_few_bytes_of_a_table_do_not_become_many(tmp_path: Path) -> None:
    rows = pyarrow.array([0] * 600, pyarrow.int32())
    column = pyarrow.DictionaryArray.from_arrays(rows, pyarrow.array(["a" * (1 << 20)]))
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet", compression="zstd")
    # 523 bytes that held 600 MB at once
    assert in_child("parquet", tmp_path / "a.parquet", 150)
    plain = tmp_path / "b.parquet"
    schema = pyarrow.schema([("text", pyarrow.string())])
    with pyarrow.parquet.ParquetWriter(plain, schema, compression="zstd") as writer:
        writer.write_table(pyarrow.table({"text": column.cast(pyarrow.string())}, schema=schema))
    assert in_child("parquet", plain, 150)
    packed = tmp_path / "c.arrow"
    options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
    with pyarrow.ipc.new_stream(str(packed), schema, options=options) as stream:
        stream.write_table(pyarrow.table({"text": ["a" * (300 << 20)]}, schema=schema))
    assert "set aside as a bomb" in in_child("arrow", packed, 150)


def test_comments_that_are_never_closed_take_no_more_time_than_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("<!-- a --> b " + "<!-- " * 40_000 + "text")
    before = time.perf_counter()
    text = "".join(each.text for each in Markdown(path=str(tmp_path)).documents())
    assert time.perf_counter() - before < 5
    assert text == " b " + "<!-- " * 40_000 + "text"


def test_what_is_no_value_is_no_group_in_any_kind_of_source(tmp_path: Path) -> None:
    values = [("one", "x"), ("two", None), ("three", None)]
    table = pyarrow.table({"text": [text for text, _ in values], "g": [group for _, group in values]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pyarrow.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    lines = [json.dumps({"text": text, "g": group}) for text, group in values]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + '\n{"text": "four"}\n{"text": "five", "g": 5}\n')
    (tmp_path / "a.csv").write_text("text,g\n" + "".join(f"{text},{group or ''}\n" for text, group in values))
    (tmp_path / ".hub").mkdir()
    (tmp_path / ".hub" / "a.jsonl").write_text("\n".join(lines))
    path = str(tmp_path)
    sources = [each(path=path, group_field="g") for each in (Parquet, Arrow, Csv, Jsonl)]
    for source in (*sources, HuggingFace(dataset=str(tmp_path / ".hub"), group_field="g")):
        found = list(source.documents())
        assert all(isinstance(each, Document) for each in found), found
        expected = ["x", None, None] + ([None, "5"] if isinstance(source, Jsonl) else [])
        assert [each.group for each in found] == expected, source.kind


def test_many_bad_files_have_few_reasons(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number}.txt").write_bytes(b"a" * number + b"\xff")
        (tmp_path / f"{number}.parquet").write_bytes(b"x" * number)
        (tmp_path / f"{number}.txt.gz").write_bytes(bytes([number, 1]) * 20)
        head = f"Content-Type: text/html; charset=x{number}\r\nContent-Encoding: c{number % 2}".encode()
        (tmp_path / f"{number}.warc").write_bytes(answer(head, b"body"))
    found = [
        each
        for source in (TextFiles, Parquet, Warc)
        for each in source(path=str(tmp_path)).documents()
        if isinstance(each, Unreadable)
    ]
    assert len(found) == 240
    assert len({each.reason for each in found}) <= 5
    assert len({each.excerpt for each in found if each.file.endswith(".txt")}) == 60


def test_pipes_in_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good")
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (tmp_path, f"{tmp_path}/*.txt"):
        assert read(TextFiles(path=str(path))) == ({"good.txt": "good"}, {"pipe.txt": "neither a file nor a folder"})


def test_fields_without_number_are_not_all_kept() -> None:
    found = FieldsFound("a.jsonl", ("text",), always=("text",), strings=("text",))
    for number in range(10_000):
        found.note({f"field {number}": 1})
    assert len(found.seen) == MOST_FIELDS
    found.note({"text": "late"})
    assert "text" in found.seen


def test_the_commit_that_is_fingerprinted_is_the_one_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub

    commits, loaded = iter(["first", "second", "third"]), []

    class Newest:
        def __init__(self) -> None:
            self.sha = next(commits)

    def load(*_: object, revision: str, **__: object) -> datasets.IterableDataset:
        loaded.append(revision)
        return datasets.Dataset.from_dict({"text": ["one"]}).to_iterable_dataset(num_shards=1)

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: Newest())
    monkeypatch.setattr(datasets, "load_dataset", load)
    source = HuggingFace(dataset="someone/set")
    source.fingerprint()
    [part] = source.parts(1000)
    assert part.files[0].version == "first"
    # another process has the part, and not what the first found out
    assert [each.text for each in HuggingFace(dataset="someone/set").documents(part)] == ["one"]
    assert loaded == ["first", "first"]
