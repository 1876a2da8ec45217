"""Inputs for every kind of source, with what is good, what is bad, and what is large enough to be cut."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

PAGE = "<html><head><title>t</title></head><body><nav>home</nav><article>{}</article></body></html>"
SENTENCE = "Die Katze schläft, 日本語 reads on, and one more sentence about it is here."


def page(number: int) -> bytes:
    """Return a web page with some paragraphs."""
    return PAGE.format("".join(f"<p>{SENTENCE} Number {number}.{each}.</p>" for each in range(5))).encode()


def text_files(folder: Path) -> dict[str, Any]:
    for number in range(12):
        (folder / f"small{number}.txt").write_text(f"{SENTENCE} {number}")
    (folder / "book.txt").write_bytes(
        b"\xef\xbb\xbf" + "".join(f"{SENTENCE * (1 + number % 7)}\n\n" for number in range(400)).encode()
    )
    (folder / "bad.txt").write_bytes(SENTENCE.encode() * 90 + b"\xff")
    (folder / "wide.txt").write_text(SENTENCE * 30, encoding="utf-16")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "packed.txt.gz").write_bytes(gzip.compress(SENTENCE.encode() * 50))
    return {"path": str(folder), "document_characters": 300}


def rows(count: int = 300) -> list[dict[str, Any]]:
    return [{"text": f"{SENTENCE * (number % 5)} {number}", "author": f"a{number % 7}"} for number in range(count)]


def jsonl(folder: Path) -> dict[str, Any]:
    lines = [json.dumps(row, ensure_ascii=number % 2 == 0) for number, row in enumerate(rows())]
    lines[17], lines[40], lines[41], lines[90] = "", '{"text": 3, "author": "x"}', "[]", '{"text": "torn'
    (folder / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    (folder / "b.ndjson").write_text("\n".join(lines[:5]) + "\n")
    (folder / "c.jsonl.bz2").write_bytes(bz2.compress("\n".join(lines).encode()))
    (folder / "d.jsonl").write_text("\n".join(lines[:30]), encoding="utf-16-be")
    (folder / "e.jsonl").write_bytes("\ufeff".encode("utf-16-be") + "\n".join(lines[:30]).encode("utf-16-be"))
    return {"path": str(folder), "group_field": "author"}


def csv(folder: Path) -> dict[str, Any]:
    lines = ["text,author"]
    for number, row in enumerate(rows()):
        text = row["text"].replace(",", ',\n"",') if number % 3 == 0 else row["text"].replace(",", ";")
        lines.append(f'"{text}",{row["author"]}' if number % 3 == 0 else f'{text} 5" pipe,{row["author"]}')
    lines[20], lines[44], lines[60] = "", "only one", '"wrong" quote,x'
    (folder / "a.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    (folder / "b.tsv.xz").write_bytes(lzma.compress(b"author\ttext\nx\tone, two\ny\tthree\n"))
    return {"path": str(folder), "group_field": "author"}


def table(count: int = 300) -> pyarrow.Table:
    columns = pyarrow.Table.from_pylist(rows(count))
    texts = pyarrow.array(
        [None if number % 50 == 7 else text for number, text in enumerate(columns["text"].to_pylist())]
    )
    return columns.set_column(0, "text", texts)


def parquet(folder: Path) -> dict[str, Any]:
    pyarrow.parquet.write_table(table(), folder / "a.parquet", row_group_size=23)
    pyarrow.parquet.write_table(table(5), folder / "b.parquet")
    with zipfile.ZipFile(folder / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / "b.parquet", "in/b.parquet")
    return {"path": f"{folder}/*", "group_field": "author"}


def arrow(folder: Path) -> dict[str, Any]:
    with pyarrow.ipc.new_file(str(folder / "a.arrow"), table().schema) as writer:
        writer.write_table(table(), max_chunksize=23)
    with pyarrow.ipc.new_stream(str(folder / "b.arrow"), table().schema) as writer:
        writer.write_table(table(), max_chunksize=23)
    return {"path": str(folder), "group_field": "author"}


def html(folder: Path) -> dict[str, Any]:
    for number in range(9):
        (folder / f"{number}.html").write_bytes(page(number))
    (folder / "a.htm").write_bytes(b'<meta charset="windows-1252"><article><p>caf\xe9 au lait \x80</p></article>')
    (folder / "b.htm").write_bytes(b"<article><p>caf\xe9</p></article>")
    return {"path": str(folder)}


def markdown(folder: Path) -> dict[str, Any]:
    (folder / "a.md").write_text("---\ntitle: x\n---\n" + "".join(f"# {n}\n\n{SENTENCE}\n" for n in range(50)))
    (folder / "b.markdown").write_text("no heading\n```sh\n# comment\n```\n")
    return {"path": str(folder), "document_characters": 400}


def code(folder: Path) -> dict[str, Any]:
    for name in ("a.py", "b/c.rs", "node_modules/x.js", "b/x.min.js", "vendor/d.c", "e.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"# {name}\n" * 20)
    (folder / "binary.c").write_bytes(b"\x7fELF\0\0")
    with tarfile.open(folder / "f.tar.gz", "w:gz") as archive:
        archive.add(folder / "b", "b")
    return {"path": f"{folder}/**/*"}


def warc_record(kind: str, uri: str, body: bytes, content_type: str) -> bytes:
    """Return a record of a WARC file."""
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nWARC-Date: 2020-01-01T00:00:00Z\r\n"
    head += f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{abs(hash(uri)) % 10**12:012}>\r\n"
    return f"{head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n\r\n"


def http_response(body: bytes, content_type: str = "text/html", status: str = "200 OK") -> bytes:
    """Return an HTTP response with its head."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def warc(folder: Path) -> dict[str, Any]:
    http = "application/http; msgtype=response"
    records = [
        warc_record("response", "http://x/1", http_response(page(1)), http),
        warc_record("response", "http://x/2", http_response(b"\x89PNG", "image/png"), http),
        warc_record("response", "http://x/3", http_response(page(3), status="404 Not Found"), http),
        warc_record("response", "http://x/4", http_response(b"<p>caf\xe9", "text/html; charset=utf-8"), http),
        warc_record(
            "response", "http://x/5", http_response("Grüße".encode("latin-1"), "text/plain; charset=latin-1"), http
        ),
        warc_record("conversion", "http://x/6", SENTENCE.encode(), "text/plain"),
    ]
    (folder / "a.warc.gz").write_bytes(b"".join(map(gzip.compress, records)))
    (folder / "b.warc").write_bytes(b"".join(records))
    return {"path": str(folder)}


def hugging_face(folder: Path) -> dict[str, Any]:
    for number in range(3):
        lines = [json.dumps({"text": f"{number} {each}"}) for each in range(4)]
        (folder / f"train-{number}.jsonl").write_text("\n".join(lines))
    return {"dataset": str(folder)}


def python_documentation(folder: Path) -> dict[str, Any]:
    return {"modules": ["json", "csv"], "texts": ["docstrings", "source"]}


MAKERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "arrow": arrow,
    "code": code,
    "csv": csv,
    "html": html,
    "hugging_face": hugging_face,
    "jsonl": jsonl,
    "markdown": markdown,
    "parquet": parquet,
    "python_documentation": python_documentation,
    "text_files": text_files,
    "warc": warc,
}
"""For every kind of source, what writes its input into a folder and returns its settings."""


def tar_of(members: dict[str, bytes], mode: str = "w") -> bytes:
    """Return a tar file with such members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
