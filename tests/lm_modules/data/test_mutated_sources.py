"""Files of every format with bytes changed at random: none ends the process, or what is read of others."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from source_inputs import http_response, page, warc_record

MUTATED = 40
TEXTS = [f"row {number} of a table" for number in range(40)]
LINES = "\n".join(json.dumps({"text": text}) for text in TEXTS).encode()


def tar(form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name in ("a.txt", "b" * 120 + ".txt", "é.txt"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 700, 1.5
            archive.addfile(info, io.BytesIO(b"x" * 700))
    return out.getvalue()


def packed(method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in "abc":
            archive.writestr(f"{name}.txt", "text " * 50)
    return out.getvalue()


def arrow(is_file: bool, compression: str | None, is_dictionary: bool = False) -> bytes:
    out = io.BytesIO()
    column = pyarrow.array([text[:5] for text in TEXTS] if is_dictionary else TEXTS)
    table = pyarrow.table({"text": column.dictionary_encode() if is_dictionary else column})
    opened = pyarrow.ipc.new_file if is_file else pyarrow.ipc.new_stream
    with opened(out, table.schema, options=pyarrow.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return out.getvalue()


def parquet(compression: str) -> bytes:
    out = io.BytesIO()
    table = pyarrow.table({"text": TEXTS, "n": range(len(TEXTS))})
    pyarrow.parquet.write_table(table, out, compression=compression, row_group_size=20)
    return out.getvalue()


def web_archive() -> bytes:
    body = gzip.compress(page(1))
    head = b"Content-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
    http = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    kind = "application/http; msgtype=response"
    return warc_record("response", "http://x/1", http, kind) + warc_record(
        "response", "http://x/2", http_response(page(2)), kind
    )


FORMATS: dict[str, Callable[[], bytes]] = {
    "pax.tar": lambda: tar(tarfile.PAX_FORMAT),
    "gnu.tar": lambda: tar(tarfile.GNU_FORMAT),
    "deflate.zip": lambda: packed(zipfile.ZIP_DEFLATED),
    "lzma.zip": lambda: packed(zipfile.ZIP_LZMA),
    "snappy.parquet": lambda: parquet("snappy"),
    "zstd.parquet": lambda: parquet("zstd"),
    "file.arrow": lambda: arrow(True, None),
    "stream.arrow": lambda: arrow(False, None),
    "packed.arrow": lambda: arrow(True, "zstd"),
    "dictionary.arrow": lambda: arrow(False, "lz4", is_dictionary=True),
    "a.warc": web_archive,
    "a.jsonl.gz": lambda: gzip.compress(LINES),
    "a.jsonl.bz2": lambda: bz2.compress(LINES),
    "a.jsonl.xz": lambda: lzma.compress(LINES),
    "a.jsonl.zst": lambda: pyarrow.compress(LINES, "zstd", asbytes=True),
    "a.jsonl": lambda: LINES,
    "a.csv": lambda: b"text,n\n" + b'"a b",1\n' * 20,
    "a.html": lambda: page(1),
    "a.md": lambda: b"<!-- a -->\n# Head\n\nText.\n" * 9,
}
KINDS = {"tar": "text_files", "zip": "text_files", "md": "markdown", "gz": "jsonl", "bz2": "jsonl", "xz": "jsonl"}
KINDS |= {"zst": "jsonl"}

READ_EACH = """
    import resource, sys
    from pathlib import Path
    from configs.component import members
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    sources = members("lm_modules.data.sources")
    # a field that the damage renamed is a setting to correct, as with any file that has others
    told = ("has no column", "no line has a field", "names no columns", "is it JSON Lines")
    num_documents = num_aside = 0
    for line in sys.stdin.read().splitlines():
        kind, path = line.split(" ", 1)
        print("reads", path, flush=True)
        try:
            for each in sources[kind](path=path).documents():
                num_aside += hasattr(each, "reason")
                num_documents += not hasattr(each, "reason")
        except ValueError as error:
            assert any(each in str(error) for each in told), (path, error)
    print("all", num_documents, num_aside)
"""


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with some changed, some left out and some put in."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 10))):
        how, place = chance.random(), chance.randrange(len(found))
        if how < 0.6:
            found[place] = chance.randrange(256)
        elif how < 0.8:
            del found[place : place + chance.randrange(1, 9)]
        else:
            found[place:place] = chance.randbytes(chance.randrange(1, 5))
    return bytes(found)


def read_each(paths: list[Path]) -> tuple[int, int]:
    """Return how many documents, and how many that are set aside, another process finds in the files."""
    lines = [f"{KINDS.get(path.suffix[1:], path.suffix[1:])} {path}" for path in paths]
    command = [sys.executable, "-c", textwrap.dedent(READ_EACH)]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{done.stdout[-300:]}\n{done.stderr[-2000:]}"
    _, num_documents, num_aside = done.stdout.splitlines()[-1].split()
    return int(num_documents), int(num_aside)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_change_of_bytes_ends_the_reading(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    paths = []
    for name, made in FORMATS.items():
        for number in range(MUTATED // 2):
            paths.append(tmp_path / f"{number}.{name}")
            paths[-1].write_bytes(mutated(made(), chance))
    num_documents, num_aside = read_each(paths)
    assert num_documents > len(paths)
    assert num_aside > len(paths) / 4


def test_an_arrow_file_whose_offsets_lead_nowhere_is_set_aside(tmp_path: Path) -> None:
    offsets = bytes(pyarrow.array(TEXTS).buffers()[1])
    paths = []
    for number, made in enumerate((arrow(True, None), arrow(False, None))):
        place = made.index(offsets[:40])
        for slot in range(1, 20, 3):
            paths.append(tmp_path / f"{number}-{slot}.arrow")
            broken = bytearray(made)
            broken[place + 4 * slot : place + 4 * slot + 4] = b"\xff\xff\xff\x7f" if slot % 2 else b"\0\0\0\x80"
            paths[-1].write_bytes(broken)
    assert read_each(paths) == (0, len(paths))
