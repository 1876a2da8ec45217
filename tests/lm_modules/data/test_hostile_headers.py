"""Files whose headers lie: about lengths, encodings, how far they grow. Each is set aside, for one of few reasons."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from read_sources import in_child, read
from source_inputs import http_response, page, warc_record

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.damage import RefusedError, damage
from lm_modules.data.inputs.groups import group_of
from lm_modules.data.inputs.tables import require_columns
from lm_modules.data.inputs.web_pages import decoded_text
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


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_upon_headers_set_the_tar_file_aside(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 20
    header = info.tobuf(tarfile.USTAR_FORMAT) + b"20 comment=aaaaaaaa\n".ljust(512, b"\0")
    (tmp_path / "a.tar").write_bytes(header * 600 + bytes(1024))
    reasons = read(TextFiles(path=str(tmp_path / "a.tar")))[1]
    assert reasons == {"a.tar": "damaged: a tar file with a header that cannot be read"}


def test_a_field_for_groups_that_no_line_has_is_refused_however_the_file_is_cut(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"row {number} of it", "author": f"a{number % 3}"}) for number in range(2000)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    source = Jsonl(path=str(tmp_path), group_field="autor")
    for read_all in (source.check, lambda: source.parts(10_000), lambda: list(source.documents())):
        with pytest.raises(ValueError, match="no line has a field 'autor'"):
            read_all()
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, '{"text": "last", "autor": "b"}']))
    source.check()
    assert len([each for part in source.parts(10_000) for each in source.documents(part)]) == 2001


@pytest.mark.parametrize(
    ("label", "python_name", "text"),
    [
        ("shift_jis", "cp932", "㈱①髙"),
        ("windows-31j", "cp932", "㈱"),
        ("euc-kr", "cp949", "뷁햏"),
        ("ks_c_5601-1987", "cp949", "뷁"),
        ("big5", "cp950", "碁銹"),
        ("big5", "big5hkscs", "恒"),
        ("gb2312", "gbk", "镕"),
        ("x-mac-cyrillic", "mac_cyrillic", "Привет"),
    ],
)
def test_names_of_encodings_mean_what_they_mean_on_the_web(label: str, python_name: str, text: str) -> None:
    assert decoded_text(text.encode(python_name), label) == text


def test_an_unknown_encoding_of_the_server_leaves_it_to_the_page() -> None:
    assert "café" in decoded_text("<meta charset=utf-8><p>café".encode(), "utf8mb4", markup=True)
    with pytest.raises(RefusedError, match="does not know"):
        decoded_text("<p>café".encode(), "utf8mb4", markup=True)


def test_scripts_styles_and_comments_hold_no_elements(tmp_path: Path) -> None:
    numbers = ", ".join(f"x<a{number}" for number in range(3000))
    code = "if (a<b) {" + " ".join(f"o.p{number} = {number};" for number in range(3000)) + "}"
    held = f"<script>{numbers}</script><style>{code}</style><!-- {code} --><SCRIPT>{code}</SCRIPT>"
    (tmp_path / "a.html").write_bytes(page(1).replace(b"<body>", b"<body>" + held.encode()))
    assert b"o.p2999" in (tmp_path / "a.html").read_bytes()
    assert list(read(Html(path=str(tmp_path)))[0]) == ["a.html"]
    attributes = " ".join(f"a{number}" for number in range(3000))
    (tmp_path / "a.html").write_text(f"<!--><p {attributes}>text")
    assert "attributes" in read(Html(path=str(tmp_path)))[1]["a.html"]


def test_packed_answers_are_read_whole_or_refused(tmp_path: Path) -> None:
    text = " ".join(str(number) for number in range(5000)).encode()
    plain = zlib.compress(text)
    bodies = {
        b"gzip": [gzip.compress(text), gzip.compress(text[:99]) + gzip.compress(text[99:]), gzip.compress(text)[:-99]],
        b"deflate": [plain, plain[2:-4], plain[:-99]],
    }
    records = [
        answer(b"Content-Type: text/plain\r\nContent-Encoding: " + coding, body)
        for coding, each in bodies.items()
        for body in each
    ]
    (tmp_path / "a.warc").write_bytes(b"".join(records))
    texts, reasons = read(Warc(path=str(tmp_path)))
    assert texts == {f"a.warc:{number}": text.decode() for number in (1, 2, 4, 5)}
    assert reasons == dict.fromkeys(("a.warc:3", "a.warc:6"), "truncated: it ends before its end mark")


def test_an_absurd_length_without_a_bound_is_truncated_and_a_stored_page_is_one(tmp_path: Path) -> None:
    stored = warc_record("resource", "http://x/1", page(1), "text/html; charset=utf-8")
    lies = answer(b"Content-Type: text/plain", b"hello")
    length = lies.index(b"Content-Length: ")
    lies = lies[:length] + b"Content-Length: 999999999999999999" + lies[lies.index(b"\r\n", length) :]
    (tmp_path / "a.warc").write_bytes(stored + lies)
    texts, reasons = read(Warc(path=str(tmp_path), max_document_bytes=None))
    assert list(texts) == ["a.warc:1"]
    assert reasons["a.warc:2"].startswith("truncated")


def test_small_faults_are_named() -> None:
    assert [group_of(value) for value in (float("nan"), None, "", 1.5)] == [None, None, None, "1.5"]
    assert damage(FileNotFoundError("https://x/y")) == "cannot be read: FileNotFound"
    with pytest.raises(ValueError, match="no column 'and 9 more'") as raised:
        require_columns("a.parquet", ["and 9 more"], [f"column{number}" for number in range(30)])
    assert "did you mean" not in str(raised.value)
