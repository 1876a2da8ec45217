"""Input that is broken, or meant to do harm: each is named and counted, memory is bounded, the rest is unharmed."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from read_sources import in_child, read
from source_inputs import http_response, page, tar_of, warc_record

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.sources import Source
from lm_modules.data.sources.arrow import Arrow
from lm_modules.data.sources.code import Code
from lm_modules.data.sources.csv import Csv
from lm_modules.data.sources.html import Html
from lm_modules.data.sources.jsonl import Jsonl
from lm_modules.data.sources.parquet import Parquet
from lm_modules.data.sources.text_files import TextFiles
from lm_modules.data.sources.warc import Warc

ZSTD = {"codec": "zstd", "asbytes": True}
PACK = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pyarrow.compress(data, **ZSTD),
}


def details(source: Source) -> dict[str, str]:
    """Return what is particular to each fault, by the last part of the file's name."""
    return {Path(each.file).name: each.excerpt for each in source.documents() if isinstance(each, Unreadable)}


def lines(count: int) -> bytes:
    return b"".join(
        json.dumps({"text": f"line {number} {os.urandom(60).hex()}"}).encode() + b"\n" for number in range(count)
    )


# --- encodings --------------------------------------------------------------------------------------------------------


def test_encodings_are_told_by_marks_or_by_the_user_and_never_guessed(tmp_path: Path) -> None:
    for name, encoding in (("8", "utf-8-sig"), ("16", "utf-16"), ("32", "utf-32"), ("plain", "utf-8")):
        (tmp_path / f"{name}.txt").write_text("Grüße, 日本語", encoding=encoding)
        (tmp_path / f"{name}.jsonl").write_text('{"text": "Grüße"}\n{"text": "日本語"}\n', encoding=encoding)
        (tmp_path / f"{name}.csv").write_text("text,n\nGrüße,1\n日本語,2\n", encoding=encoding)
    (tmp_path / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (tmp_path / "latin.jsonl").write_bytes('{"text": "Grüße"}\n{"text": "good"}\n'.encode("latin-1"))
    (tmp_path / "latin.csv").write_bytes("text,n\nGrüße,1\ngood,2\n".encode("latin-1"))
    (tmp_path / "bare16.txt").write_bytes("Hello".encode("utf-16-le"))
    (tmp_path / "nul.txt").write_bytes(b"one two three\0four")
    (tmp_path / "torn16.txt").write_bytes(b"\xff\xfe" + "Hello".encode("utf-16-le")[:-1])
    texts, reasons = read(TextFiles(path=str(tmp_path)))
    assert texts == dict.fromkeys(("16.txt", "32.txt", "8.txt", "plain.txt"), "Grüße, 日本語")
    assert reasons["latin.txt"] == "not UTF-8; save it as UTF-8, or name its encoding (encoding: cp1252)"
    assert "NULs; if it is UTF-16, name its encoding" in reasons["bare16.txt"]
    assert "it holds NULs" in reasons["nul.txt"]
    places = details(TextFiles(path=str(tmp_path)))
    assert (places["latin.txt"], places["nul.txt"]) == ("byte 2", "byte 13")
    assert "not utf-16-le (truncated data)" in reasons["torn16.txt"]
    texts, reasons = read(Jsonl(path=str(tmp_path)))
    assert list(texts.values()) == ["Grüße", "日本語"] * 3 + ["good"] + ["Grüße", "日本語"]
    assert reasons == {"latin.jsonl:1": "not UTF-8"}
    texts, reasons = read(Csv(path=str(tmp_path)))
    assert list(texts.values()) == ["Grüße", "日本語"] * 3 + ["good"] + ["Grüße", "日本語"]
    assert reasons == {"latin.csv:2": "not UTF-8"}
    named, _ = read(TextFiles(path=str(tmp_path / "latin.txt"), encoding="latin-1"))
    assert named == {"latin.txt": "Grüße"}
    assert read(TextFiles(path=str(tmp_path / "bare16.txt"), encoding="utf-16-le"))[0] == {"bare16.txt": "Hello"}
    assert read(TextFiles(path=str(tmp_path / "16.txt"), encoding="latin-1"))[0] == {"16.txt": "Grüße, 日本語"}
    with pytest.raises(ValueError, match=r"unknown encoding: latin-x; an encoding is a name such as"):
        TextFiles(path="x", encoding="latin-x")


def test_bad_bytes_are_placed_wherever_chunks_end(tmp_path: Path) -> None:
    for place in (2**20 - 2, 2**20 - 1, 2**20, 2**21 - 1):
        (tmp_path / "a.txt").write_bytes(b"a" * (place - 2) + "é".encode() + b"\xff" + b"b" * 9)
        assert details(TextFiles(path=str(tmp_path))) == {"a.txt": f"byte {place}"}


def test_empty_files_are_counted(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv", "a.parquet", "a.html", "a.warc", "a.py"):
        (tmp_path / name).write_bytes(b"")
    pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), tmp_path / "b.parquet")
    assert read(Jsonl(path=str(tmp_path)))[1] == {"a.jsonl": "empty: it holds no document"}
    assert read(Csv(path=str(tmp_path)))[1] == {"a.csv": "empty: it holds no document"}
    assert read(Html(path=str(tmp_path)))[1] == {"a.html": "a web page without a main text"}
    assert read(Warc(path=str(tmp_path)))[1] == {"a.warc": "empty: it holds no document"}
    reasons = read(Parquet(path=str(tmp_path)))[1]
    assert "no parquet file" in reasons["a.parquet"]
    assert reasons["b.parquet"] == "empty: it holds no document"
    # an empty text is a document, which the preparation counts as empty
    assert read(Code(path=str(tmp_path)))[0] == {"a.py": ""}
    with pytest.raises(ValueError, match=r"has no document that can be read \(.*a\.jsonl: empty"):
        Jsonl(path=str(tmp_path)).check()


# --- compression ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", PACK)
def test_a_truncated_file_gives_what_is_whole_and_names_the_rest(suffix: str, tmp_path: Path) -> None:
    data = lines(12_000)
    packed = PACK[suffix](data)
    (tmp_path / f"a.jsonl.{suffix}").write_bytes(packed[: len(packed) * 3 // 4])
    (tmp_path / "b.jsonl").write_bytes(data[:1000])
    texts, reasons = read(Jsonl(path=str(tmp_path)))
    whole = data.decode().splitlines()
    kept = [text for id, text in texts.items() if id.startswith("a.")]
    assert kept == [json.loads(line)["text"] for line in whole[: len(kept)]]
    assert (
        reasons[f"a.jsonl.{suffix}:{len(kept) + 1}"]
        == "truncated: it ends before its end mark; this line and all after it are lost"
    )
    assert any(id.startswith("b.") for id in texts)
    (tmp_path / f"c.txt.{suffix}").write_bytes(packed[: len(packed) * 3 // 4])
    assert read(TextFiles(path=str(tmp_path))) == ({}, {f"c.txt.{suffix}": "truncated: it ends before its end mark"})


@pytest.mark.parametrize("suffix", PACK)
def test_packed_files_of_several_streams_are_read_whole_and_rubbish_is_named(suffix: str, tmp_path: Path) -> None:
    pack = PACK[suffix]
    (tmp_path / f"a.txt.{suffix}").write_bytes(pack(b"one ") + pack(b"") + pack(b"two"))
    (tmp_path / f"b.txt.{suffix}").write_bytes(b"this was never packed" * 9)
    texts, reasons = read(TextFiles(path=str(tmp_path)))
    assert texts == {f"a.txt.{suffix}": "one two"}
    assert reasons[f"b.txt.{suffix}"] == "damaged: it cannot be unpacked"


@pytest.mark.parametrize("suffix", PACK)
def test_a_bomb_is_set_aside_before_it_grows(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a.jsonl.{suffix}").write_bytes(PACK[suffix](b'{"text": "fine"}\n' + b" " * (300 << 20)))
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "good"}\n')
    texts, reasons = read(Jsonl(path=str(tmp_path), max_document_bytes=1000))
    assert texts == {f"a.jsonl.{suffix}:1": "fine", "b.jsonl:1": "good"}
    assert "set aside as a bomb" in reasons[f"a.jsonl.{suffix}:2"]
    assert "raise max_expansion if that is right" in reasons[f"a.jsonl.{suffix}:2"]
    texts, reasons = read(Jsonl(path=str(tmp_path), max_document_bytes=1000, max_expansion=10**7))
    assert len(texts) == 2
    assert "bomb" not in str(reasons)


def test_a_bomb_of_many_members_is_set_aside_as_a_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(12):
            archive.writestr(f"{number:02}.txt", b"\n" * (10 << 20))
    texts, reasons = read(TextFiles(path=str(tmp_path / "a.zip"), document_characters=None))
    assert len(texts) == 6
    assert "set aside as a bomb" in reasons["06.txt"]
    assert "set aside as a bomb" in reasons["a.zip"]


def test_an_xz_file_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    filters = [
        {"id": lzma.FILTER_LZMA2, "dict_size": 300 << 20, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3, "nice_len": 8}
    ]
    out = lzma.LZMACompressor(filters=filters)
    (tmp_path / "a.txt.xz").write_bytes(out.compress(b"text") + out.flush())
    assert "Memory usage limit" in details(TextFiles(path=str(tmp_path)))["a.txt.xz"]


# --- archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["", "gz", "bz2", "xz"])
def test_names_and_links_that_lead_out_of_a_tar_are_refused(mode: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.tar{'.' if mode else ''}{mode}"
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    with tarfile.open(path, f"w:{mode}") as archive:
        for name in ("good.txt", "../secret.txt", "/etc/secret.txt", "a/../../secret.txt", "deep/good.txt", "x.zip"):
            info = tarfile.TarInfo(name)
            info.size = 4
            archive.addfile(info, io.BytesIO(b"text"))
        for kind, name in (
            (tarfile.SYMTYPE, "link.txt"),
            (tarfile.LNKTYPE, "hard.txt"),
            (tarfile.FIFOTYPE, "pipe.txt"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
        info = tarfile.TarInfo("last.txt")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"last"))
    found = list(TextFiles(path=str(path)).documents())
    texts = {each.id.partition("/")[2]: each.text for each in found if isinstance(each, Document)}
    assert texts == {"good.txt": "text", "deep/good.txt": "text", "last.txt": "last"}
    reasons = sorted(
        (each.file.removeprefix(f"{path}/"), each.reason) for each in found if isinstance(each, Unreadable)
    )
    assert reasons == [
        ("../secret.txt", "its name leads out of the archive"),
        ("/etc/secret.txt", "its name leads out of the archive"),
        ("a/../../secret.txt", "its name leads out of the archive"),
        ("hard.txt", "a link in an archive, not followed"),
        ("link.txt", "a link in an archive, not followed"),
        ("pipe.txt", "neither a plain file nor a folder"),
        ("x.zip", "an archive in an archive; unpack it"),
    ]


def test_zip_members_that_lead_out_or_are_links_or_encrypted_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("good.txt", "../up.txt", "/root.txt", "C:/drive.txt", "..\\back.txt", "a/b.txt.gz"):
            archive.writestr(name, gzip.compress(b"text") if name.endswith(".gz") else b"text")
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    texts, reasons = read(TextFiles(path=str(tmp_path / "a.zip")))
    assert texts == {"a.zip/good.txt": "text", "a.zip/a/b.txt.gz": "text"}
    assert list(reasons) == ["up.txt", "root.txt", "drive.txt", "..\\back.txt", "link.txt"]
    locked = bytearray((tmp_path / "a.zip").read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.find(mark) + flags] |= 1
    (tmp_path / "a.zip").write_bytes(locked)
    assert read(TextFiles(path=str(tmp_path / "a.zip")))[1]["good.txt"] == "encrypted; unpack it"
    (tmp_path / "a.zip").write_bytes(locked[:-30])
    assert read(TextFiles(path=str(tmp_path / "a.zip"))) == ({}, {"a.zip": "damaged: it cannot be unpacked"})


def test_a_tar_that_ends_too_soon_is_named_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = tar_of({"a.txt": b"a" * 700, "b.txt": b"b" * 700})
    ends = whole.index(b"b" * 700) + 1024
    for size in (100, 600, 512 * 3, 512 * 3 + 100, 512 * 4 + 300, ends):
        (tmp_path / "a.tar").write_bytes(whole[:size])
        texts, reasons = read(TextFiles(path=str(tmp_path / "a.tar")))
        assert [*reasons.values()][-1].startswith("truncated"), size
        assert set(texts) <= {"a.tar/a.txt", "a.tar/b.txt"}
    (tmp_path / "a.tar").write_bytes(whole[: 512 * 3] + b"rubbish!" * 200)
    texts, reasons = read(TextFiles(path=str(tmp_path / "a.tar")))
    assert list(texts) == ["a.tar/a.txt"]
    assert reasons["a.tar"] == "damaged: a tar file with a header that cannot be read"
    assert details(TextFiles(path=str(tmp_path / "a.tar"))) == {"a.tar": "byte 1536"}


def test_an_archive_without_files_of_the_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of({"a.png": b"x"}))
    assert read(TextFiles(path=str(tmp_path / "a.tar")))[1] == {"a.tar": "an archive with no file of this format"}


# --- files ------------------------------------------------------------------------------------------------------------


def test_links_out_of_the_folder_are_named_and_followed_only_if_wished(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (folder / "good.txt").write_text("good")
    (folder / "out.txt").symlink_to(outside / "secret.txt")
    (folder / "inside.txt").symlink_to(folder / "good.txt")
    (folder / "dangling.txt").symlink_to(folder / "nothing.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "other").symlink_to(outside)
    for path in (folder, f"{folder}/*", f"{folder}/**/*.txt"):
        texts, reasons = read(TextFiles(path=str(path)))
        assert texts == {"good.txt": "good", "inside.txt": "good"}, path
        assert "a link out of the folder, not followed" in reasons["out.txt"]
        assert reasons["dangling.txt"] == "a link to nothing" or "**" in str(path)
        if "**" not in str(path):
            assert "a link to a folder, not followed" in reasons["loop"]
            assert "a link to a folder, not followed" in reasons["other"]
    texts, reasons = read(TextFiles(path=str(folder), follow_links=True))
    assert texts["out.txt"] == "secret"
    assert read(TextFiles(path=str(folder / "out.txt")))[0] == {"out.txt": "secret"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_that_may_not_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "locked.txt").write_text("locked")
    (tmp_path / "locked.txt").chmod(0)
    (tmp_path / "folder").mkdir(mode=0)
    texts, reasons = read(TextFiles(path=str(tmp_path)))
    assert texts == {"good.txt": "good"}
    assert reasons == {
        "locked.txt": "cannot be read: Permission denied",
        "folder": "cannot be listed: Permission denied",
    }


@pytest.mark.parametrize("kind", ["grows", "is rewritten", "is replaced", "goes away"])
def test_a_file_that_changes_while_it_is_read_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(20_000))
    found = Jsonl(path=str(tmp_path)).documents()
    next(found)
    if kind == "grows":
        with path.open("ab") as file:
            file.write(lines(1))
    elif kind == "is rewritten":
        path.write_bytes(lines(100))
    elif kind == "is replaced":
        (tmp_path / "b").write_bytes(path.read_bytes())
        os.utime(tmp_path / "b", ns=(1, 1))
        (tmp_path / "b").replace(path)
    else:
        path.unlink()
    with pytest.raises(ValueError, match=r"a\.jsonl (changed|went away) while it was read.*then run again"):
        list(found)


def test_a_part_of_a_file_that_changed_since_it_was_cut_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(100))
    source = Jsonl(path=str(tmp_path))
    parts = source.parts(1000)
    assert len(parts) > 3
    list(source.documents(parts[2]))
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(lines(1))
    with pytest.raises(ValueError, match=r"a\.jsonl changed while it was read"):
        list(source.documents(parts[2]))


# --- tables and lines -------------------------------------------------------------------------------------------------


def test_damaged_tables_give_what_is_whole_and_name_the_rest(tmp_path: Path) -> None:
    table = pyarrow.table({"text": [f"{number} {os.urandom(50).hex()}" for number in range(3000)]})
    for kind, source in (("parquet", Parquet), ("arrow", Arrow)):
        path = tmp_path / f"a.{kind}"
        if kind == "parquet":
            pyarrow.parquet.write_table(table, path, row_group_size=500, use_dictionary=False)
        else:
            with pyarrow.ipc.new_stream(str(path), table.schema) as writer:
                writer.write_table(table, max_chunksize=500)
        data = bytearray(path.read_bytes())
        (tmp_path / f"b.{kind}").write_bytes(data[: len(data) // 2])
        (tmp_path / f"c.{kind}").write_bytes(b"rubbish" * 100)
        texts, reasons = read(source(path=str(tmp_path)))
        assert len([id for id in texts if id.startswith(f"a.{kind}")]) == 3000
        assert set(reasons) == {"b.parquet" if kind == "parquet" else "b.arrow:1501", f"c.{kind}"}
        assert all("damaged" in reason for reason in reasons.values())


def test_texts_of_a_table_that_are_too_long_or_no_utf8_take_no_other_with_them(tmp_path: Path) -> None:
    texts = pyarrow.array([b"good", b"caf\xe9", b"x" * 3000, None, b"fine"]).cast(pyarrow.binary())
    column = pyarrow.Array.from_buffers(pyarrow.string(), 5, texts.buffers())
    pyarrow.parquet.write_table(pyarrow.table({"text": column, "n": [1, 2, 3, 4, 5]}), tmp_path / "a.parquet")
    texts, reasons = read(Parquet(path=str(tmp_path), max_document_bytes=1000, group_field="n"))
    assert texts == {"a.parquet:1": "good", "a.parquet:5": "fine"}
    assert [reasons[f"a.parquet:{row}"] for row in (2, 3, 4)] == [
        "column 'text' is not UTF-8",
        "column 'text' is longer than max_document_bytes",
        "column 'text' is no string",
    ]
    texts, reasons = read(Parquet(path=str(tmp_path), text_field="n"))
    assert not texts
    assert set(reasons.values()) == {"column 'n' is no string"}


def test_a_quote_that_is_never_closed_takes_only_so_many_lines(tmp_path: Path) -> None:
    rows = [f"row {number},x" for number in range(500)]
    rows[100] = '"never closed,x'
    (tmp_path / "a.csv").write_text("\n".join(["text,n", *rows]))
    found = list(Csv(path=str(tmp_path), max_document_bytes=1000).documents())
    [bad] = [each for each in found if isinstance(each, Unreadable)]
    assert bad.line == 102
    assert "is a quote never closed?" in bad.reason
    assert bad.num_lines + len(found) - 1 == 500
    assert bad.num_lines < 120


def test_documents_that_are_too_long_are_set_aside_by_every_kind(tmp_path: Path) -> None:
    long = "word " * 1000
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": long}) + '\n{"text": "good"}\n')
    (tmp_path / "a.csv").write_text(f"text,n\n{long},1\ngood,2\n")
    (tmp_path / "a.txt").write_text(long)
    (tmp_path / "a.md").write_text(long)
    (tmp_path / "a.html").write_bytes(page(1) * 20)
    (tmp_path / "a.py").write_text(f"# {long}")
    http = "application/http; msgtype=response"
    (tmp_path / "a.warc").write_bytes(
        warc_record("response", "http://x/1", http_response(page(1) * 20), http)
        + warc_record("response", "http://x/2", http_response(page(1)), http)
    )
    reasons = {}
    for source in (Jsonl, Csv, Html, Code, Warc):
        reasons |= read(source(path=str(tmp_path), max_document_bytes=2000))[1]
    reasons |= read(TextFiles(path=str(tmp_path), max_document_bytes=2000, document_characters=None))[1]
    assert set(reasons) == {"a.jsonl:1", "a.csv:2", "a.html", "a.py", "a.warc:1", "a.txt", "a.md"}
    assert all(reason.startswith("longer than max_document_bytes") for reason in reasons.values())
    assert "".join(read(TextFiles(path=str(tmp_path / "a.txt"), max_document_bytes=2000))[0].values()) == long


def test_a_web_archive_that_is_torn_or_lies_is_named(tmp_path: Path) -> None:
    http = "application/http; msgtype=response"
    good = warc_record("response", "http://x/1", http_response(page(1)), http)
    (tmp_path / "cut.warc").write_bytes(good + good[:-100])
    (tmp_path / "lies.warc").write_bytes(good + good.replace(b"Content-Length: ", b"Content-Length: -", 1))
    (tmp_path / "rubbish.warc").write_bytes(good + b"rubbish" * 100_000)
    (tmp_path / "torn.warc.gz").write_bytes(gzip.compress(good) + gzip.compress(good)[:-30])
    (tmp_path / "bomb.warc").write_bytes(
        warc_record(
            "response",
            "http://x/2",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
            + gzip.compress(b"a" * 99_999_999),
            http,
        )
        + good
    )
    texts, reasons = read(Warc(path=str(tmp_path)))
    assert sorted(texts) == ["bomb.warc:2", "cut.warc:1", "lies.warc:1", "rubbish.warc:1", "torn.warc.gz:1"]
    assert "truncated" in reasons["cut.warc:2"]
    assert "without a Content-Length that is a number" in reasons["lies.warc:2"]
    assert "header longer than" in reasons["rubbish.warc:2"] or "no WARC record" in reasons["rubbish.warc:2"]
    assert "truncated" in reasons["torn.warc.gz:2"]
    assert reasons["bomb.warc:1"] == "longer than max_document_bytes"


@pytest.mark.parametrize(
    "markup",
    [b"<div>" * 100_000 + b"text", b"<p " + b" ".join(b"a%d" % n for n in range(100_000)) + b">text"],
    ids=["elements", "attributes"],
)
def test_a_web_page_made_to_take_hours_is_refused(markup: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(markup)
    assert "a web page with more than" in read(Html(path=str(tmp_path)))[1]["a.html"]


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "txt", "md", "html", "warc"])
def test_a_line_of_500_megabytes_is_not_held(suffix: str, tmp_path: Path) -> None:
    kind = {"txt": "text_files", "md": "markdown"}.get(suffix, suffix)
    head = {"jsonl": b'{"text": "', "csv": b"text,n\n"}.get(suffix, b"")
    with (tmp_path / f"long.{suffix}").open("wb") as file:
        file.write(head)
        for _ in range(500):
            file.write(b"a" * (1 << 20))
        file.write({"jsonl": b'"}\n{"text": "good"}\n', "csv": b",1\ngood,2\n"}.get(suffix, b"\n"))
    said = in_child(kind, tmp_path / f"long.{suffix}", 200)
    if suffix == "txt":
        assert said.startswith(f"{-(-(500 << 20) // 10_000)} ")
    else:
        assert said.startswith("1 " if suffix in ("jsonl", "csv") else "0 ")
        assert "longer than max_document_bytes" in said or "header longer" in said


def test_a_bomb_of_ten_gigabytes_is_not_held(tmp_path: Path) -> None:
    member = gzip.compress(b"\n" * (4 << 20))
    (tmp_path / "a.txt.gz").write_bytes(member * 2500)
    assert "set aside as a bomb" in in_child("text_files", tmp_path / "a.txt.gz", 200)


def test_a_tar_header_of_gigabytes_is_not_held(tmp_path: Path) -> None:
    info = tarfile.TarInfo("long.txt")
    info.type, info.size = tarfile.XHDTYPE, 3 << 30
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(tar_of({"a.txt": b"good"})[:1024] + info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(3 << 30)
    said = in_child("text_files", tmp_path / "a.tar", 200)
    assert said.startswith("1 ")
    assert "a tar file with a header that is too long" in said
