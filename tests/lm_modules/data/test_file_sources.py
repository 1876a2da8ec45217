"""Every way in which a path leads to streams: folders, patterns, URLs, archives; and what each format makes of them."""

from __future__ import annotations

import gzip
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from source_inputs import SENTENCE, http_response, page, tar_of, warc_record

from lm_modules.data.documents import Document
from lm_modules.data.input_files import files_fingerprint, input_files
from lm_modules.data.sources.code import Code
from lm_modules.data.sources.csv import Csv
from lm_modules.data.sources.html import Html
from lm_modules.data.sources.jsonl import Jsonl
from lm_modules.data.sources.markdown import Markdown
from lm_modules.data.sources.parquet import Parquet
from lm_modules.data.sources.python_documentation import PythonDocumentation
from lm_modules.data.sources.text_files import TextFiles
from lm_modules.data.sources.warc import Warc

ROWS = b'{"text": "one"}\n{"text": "two"}\n'


def texts(source) -> dict[str, str]:
    found = list(source.documents())
    assert all(isinstance(each, Document) for each in found), found
    return {each.id: each.text for each in found}


# --- URLs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator:
    import fsspec

    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_a_url_of_fsspec_is_a_file_a_folder_or_a_pattern(memory) -> None:
    memory.pipe("/set/a.jsonl", ROWS)
    memory.pipe("/set/deep/b.jsonl.gz", gzip.compress(ROWS))
    memory.pipe("/set/c.tar", tar_of({"d.jsonl": ROWS}))
    memory.pipe("/set/.hidden/e.jsonl", ROWS)
    both = {"a.jsonl:1": "one", "a.jsonl:2": "two", "deep/b.jsonl.gz:1": "one", "deep/b.jsonl.gz:2": "two"}
    assert texts(Jsonl(path="memory://set")) == both
    assert texts(Jsonl(path="memory://set/a.jsonl")) == {"a.jsonl:1": "one", "a.jsonl:2": "two"}
    assert texts(Jsonl(path="memory://set/*.tar")) == {"c.tar/d.jsonl:1": "one", "c.tar/d.jsonl:2": "two"}
    for path in ("memory://nowhere", "memory://set/*.csv", "nosuchsystem://x/y", "memory://set/deep/none.jsonl"):
        with pytest.raises(ValueError, match=path.partition("://")[2].replace("*", r"\*") + "|nosuchsystem"):
            Jsonl(path=path).check()


def test_tables_and_zips_are_read_by_url(memory) -> None:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["one", "two", "three"]}), out, row_group_size=1)
    memory.pipe("/set/a.parquet", out.getvalue())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in/a.parquet", out.getvalue())
    memory.pipe("/set/b.zip", packed.getvalue())
    source = Parquet(path="memory://set/*")
    assert list(texts(source).values()) == ["one", "two", "three"] * 2
    assert len(source.parts(1)) == 4
    assert [each.text for part in source.parts(1) for each in source.documents(part)] == ["one", "two", "three"] * 2


def test_a_remote_file_that_changes_is_noticed(memory) -> None:
    memory.pipe("/set/a.jsonl", ROWS)
    source = Jsonl(path="memory://set")
    before, part = source.fingerprint(), source.parts(1000)[0]
    assert source.fingerprint() == before
    memory.pipe("/set/a.jsonl", ROWS.replace(b"two", b"six"))
    assert source.fingerprint() != before
    with pytest.raises(ValueError, match="changed while it was read"):
        list(source.documents(part))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", tmp_path
        running.shutdown()
        thread.join()


def test_a_file_on_a_web_server_is_read_and_known_by_its_time(server) -> None:
    address, folder = server
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(ROWS))
    (folder / "big file.jsonl").write_bytes(ROWS * 50_000)
    source = Jsonl(path=f"{address}/a.jsonl.gz?download=1")
    assert texts(source) == {"a.jsonl.gz:1": "one", "a.jsonl.gz:2": "two"}
    before = source.fingerprint()
    assert before == source.fingerprint()
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(ROWS * 2))
    assert source.fingerprint() != before
    assert len(texts(Jsonl(path=f"{address}/big%20file.jsonl"))) == 100_000
    with pytest.raises(ValueError, match=r"none\.jsonl.*cannot be read.*correct the URL"):
        Jsonl(path=f"{address}/none.jsonl").check()


# --- folders, archives, fingerprints ----------------------------------------------------------------------------------


def test_a_folder_gives_compressed_files_and_archives_only_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"a"))
    (tmp_path / "B.TXT").write_bytes(b"b")
    (tmp_path / "c.tgz").write_bytes(tar_of({"in/c.txt": b"c", "in/._c.txt": b"x", "d.png": b"d"}, "w:gz"))
    assert texts(TextFiles(path=str(tmp_path))) == {"B.TXT": "b", "a.txt.gz": "a"}
    assert texts(TextFiles(path=f"{tmp_path}/*.tgz")) == {"c.tgz/in/c.txt": "c"}
    assert texts(TextFiles(path=f"file://{tmp_path}/B.TXT")) == {"B.TXT": "b"}


def test_patterns_find_what_they_name_and_no_hidden_files(tmp_path: Path) -> None:
    for name in ("a.rst", "in/b.rst", "in/deep/c.rst", ".hidden/d.rst", "in/.e.rst"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = {
        "**/*.rst": ["a.rst", "in/b.rst", "in/deep/c.rst"],
        "*/*.rst": ["in/b.rst"],
        "in/**": ["b.rst", "deep/c.rst"],
        ".hidden/*.rst": ["d.rst"],
        "**/[bc].rst": ["in/b.rst", "in/deep/c.rst"],
        "in/.e*": [".e.rst"],
    }
    for pattern, names in found.items():
        assert list(texts(TextFiles(path=f"{tmp_path}/{pattern}"))) == names, pattern


def test_the_fingerprint_of_plain_files_is_that_of_names_and_bytes(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", "a b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    source = TextFiles(path=str(tmp_path))
    assert source.fingerprint() == files_fingerprint(input_files(str(tmp_path), (".txt",)))
    before = source.fingerprint()
    (tmp_path / "out.txt").symlink_to("/etc/hostname")
    assert source.fingerprint() != before


def test_a_source_says_what_its_documents_are(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(ROWS)
    one, _ = Jsonl(path=str(tmp_path), profile="wrapped", language="de", name="mine").documents()
    assert (one.profile, one.language, one.source) == ("wrapped", "de", "mine")
    assert Jsonl(path="x").epochs == 1
    with pytest.raises(ValueError, match="pattern"):
        Jsonl(path="x", language="German")
    profiles = {each.source: each.profile for each in PythonDocumentation(modules=("json",)).documents()}
    assert profiles == {
        "python_documentation/topics": "wrapped",
        "python_documentation/docstrings": "docstrings",
        "python_documentation/source": "code",
    }
    assert {each.profile for each in PythonDocumentation(modules=("json",), profile="none").documents()} == {"none"}


def test_parts_are_about_as_large_as_asked_for(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:02}.jsonl").write_bytes(ROWS * 30)
    (tmp_path / "big.jsonl").write_bytes(ROWS * 10_000)
    parts = Jsonl(path=str(tmp_path)).parts(20_000)
    small, large = [each for each in parts if each.end is None], [each for each in parts if each.end is not None]
    assert [len(each.files) for each in small] == [20, 20]
    assert len(large) == 16
    assert all(abs(each.num_bytes - 20_000) < 1000 for each in parts)
    assert large[1].first == 1 + ROWS.count(b"\n") * (large[1].start // len(ROWS)) + (large[1].start % len(ROWS) > 0)


# --- formats ----------------------------------------------------------------------------------------------------------


def test_tables_of_values_are_split_by_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,n\n"one, ""two""\nthree",1\n')
    (tmp_path / "b.tsv").write_text("n\ttext\n1\tone, two\n")
    (tmp_path / "c.csv").write_text("text;n\none, two;1\n")
    assert texts(Csv(path=str(tmp_path / "a.csv"))) == {"a.csv:2": 'one, "two"\nthree'}
    assert texts(Csv(path=str(tmp_path / "b.tsv"))) == {"b.tsv:2": "one, two"}
    assert texts(Csv(path=str(tmp_path / "c.csv"), delimiter=";")) == {"c.csv:2": "one, two"}
    with pytest.raises(ValueError, match=r"c\.csv has no column 'text'.*its columns: text;n"):
        Csv(path=str(tmp_path)).check()


def test_a_web_page_gives_its_main_text_in_the_encoding_that_it_tells(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(page(7).replace(b"<article>", b"<article><h1>Head</h1><ul><li>x</li></ul>"))
    (tmp_path / "b.html").write_bytes(
        b'<meta http-equiv=x content="text/html; charset=latin1"><p>caf\xe9 \x93q\x94</p>'
    )
    (tmp_path / "c.html").write_text("<p>Grüße</p>", encoding="utf-16")
    found = texts(Html(path=str(tmp_path)))
    assert found["a.html"].count(SENTENCE) == 5
    assert "home" not in found["a.html"]
    assert "Head" in found["a.html"]
    # latin1 means windows-1252 on the web (https://encoding.spec.whatwg.org)
    assert found["b.html"].strip() == "café “q”"
    assert found["c.html"].strip() == "Grüße"


def test_records_of_a_web_archive_are_those_that_fastwarc_reads(tmp_path: Path) -> None:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    http = "application/http; msgtype=response"
    chunked = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    )
    packed = gzip.compress(SENTENCE.encode() * 20)
    for at in range(0, len(packed), 50):
        chunked += f"{len(packed[at : at + 50]):x}\r\n".encode() + packed[at : at + 50] + b"\r\n"
    records = [
        warc_record("warcinfo", "http://x/0", b"software: x\r\n", "application/warc-fields"),
        warc_record("request", "http://x/1", b"GET / HTTP/1.1\r\n\r\n", "application/http; msgtype=request"),
        warc_record("response", "http://x/2", http_response(page(2)), http),
        warc_record("response", "http://x/3", http_response(b"plain", "text/plain; charset=ascii"), http),
        warc_record("conversion", "http://x/4", b"made", "text/plain"),
        # the last: FastWARC 2.0.1 takes a response that is both packed and in chunks for the end of the file
        warc_record("response", "http://x/5", chunked + b"0\r\n\r\n", http),
    ]
    (tmp_path / "a.warc.gz").write_bytes(b"".join(map(gzip.compress, records)))
    ours = texts(Warc(path=str(tmp_path)))
    assert list(ours) == [f"a.warc.gz:{number}" for number in (3, 4, 5, 6)]
    theirs = {}
    for number, record in enumerate(ArchiveIterator(str(tmp_path / "a.warc.gz"), auto_decode="all"), start=1):
        if record.record_type in (WarcRecordType.response, WarcRecordType.conversion):
            theirs[f"a.warc.gz:{number}"] = record.reader.read().decode()
    assert theirs.pop("a.warc.gz:3").encode() == page(2)
    assert ours.pop("a.warc.gz:3").count(SENTENCE) == 5
    assert ours == theirs


def test_markdown_leaves_out_what_is_not_shown_and_is_cut_before_headings(tmp_path: Path) -> None:
    body = f"Lead.\n\n# One\n\n{SENTENCE * 3}\n```sh\n# no heading\n{SENTENCE * 3}\n```\n## Two\n\n{SENTENCE}\n"
    (tmp_path / "a.md").write_text(f"---\ntitle: x\n---\n<!-- note\n -->{body}")
    assert texts(Markdown(path=str(tmp_path), document_characters=None)) == {"a.md": body}
    pieces = list(texts(Markdown(path=str(tmp_path), document_characters=200)).values())
    assert "".join(pieces) == body
    assert [piece.split("\n")[0] for piece in pieces] == ["Lead.", "# One", "## Two"]


def test_code_is_told_by_suffix_and_leaves_out_that_of_others(tmp_path: Path) -> None:
    kept = {"a.py": "python", "src/b.rs": "rust", "src/c.h": "c", "src/d.tsx": "typescript"}
    others = ("node_modules/e.js", "src/vendor/f.c", ".git/g.py", "h.min.js", "notes.txt", "venv/lib/i.py")
    for name in (*kept, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"code of {name}")
    found = list(Code(path=str(tmp_path)).documents())
    assert {each.id: each.source for each in found} == {name: f"code/{language}" for name, language in kept.items()}
    assert {each.profile for each in found} == {"code"}
    only = Code(path=str(tmp_path), languages=("rust",), name="mine")
    assert only.names() == ("mine/rust",)
    assert list(texts(only)) == ["src/b.rs"]
    with pytest.raises(ValueError, match="unknown programming language 'pyton'; did you mean 'python'"):
        Code(path="x", languages=("pyton",))
    with pytest.raises(ValueError, match="no code in go"):
        Code(path=str(tmp_path), languages=("go",)).check()


def test_lines_of_json_are_numbered_the_same_in_every_part(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"{number}"}) for number in range(1000)]
    lines[::7] = ["torn"] * len(lines[::7])
    (tmp_path / "a.jsonl").write_text("\n\n".join(lines))
    source = Jsonl(path=str(tmp_path))
    found = [each for part in source.parts(500) for each in source.documents(part) if isinstance(each, Document)]
    assert [(each.id, each.text) for each in found] == [
        (f"a.jsonl:{1 + 2 * number}", str(number)) for number in range(1000) if number % 7
    ]
