"""Parquet and Arrow files that lie about their pages, blocks and values, or are of rare but honest make."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from read_sources import read

from lm_modules.data.documents import Document
from lm_modules.data.inputs.arrow_messages import RECORD_BATCHES, places
from lm_modules.data.sources import Source
from lm_modules.data.sources.arrow import Arrow
from lm_modules.data.sources.parquet import Parquet

LOST = "; this row and the rest of its block are lost"
BAD_PAGE = f"damaged: a page with a header that cannot be read{LOST}"
KINDS = {"parquet": Parquet, "arrow": Arrow}


def parquet_bytes(texts: list[str], **options: object) -> bytes:
    out = io.BytesIO()
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False, "store_schema": False}
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), out, **(plain | options))
    return out.getvalue()


def write_both(table: pyarrow.Table, folder: Path, **options: object) -> None:
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    with pyarrow.ipc.new_file(str(folder / "a.arrow"), table.schema) as writer:
        writer.write_table(table, **options)


def texts_in_parts(source: Source) -> list[str]:
    found = [each for part in source.parts(1) for each in source.documents(part)]
    return [each.text for each in found if isinstance(each, Document)]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"\x19" * 1500, id="lists in one another"),
        pytest.param(b"\x1b\x01\xbb" * 500, id="maps in one another"),
        pytest.param(b"\x39\xf9\xff\xff\xff\x07" + b"\x03" * 4000, id="many values"),
        pytest.param(b"\x15\x00\x15\x80\x01\x06\x04\x14", id="a size told twice"),
        pytest.param(b"\x15\x00\x16\x80\x01\x15\x80\x01", id="a size of another type"),
        pytest.param(b"\x15\x00\x05\x84\x80\x08\x10", id="a field beyond 16 bits"),
    ],
)
def test_a_page_whose_header_readers_may_differ_about_is_refused(header: bytes, tmp_path: Path) -> None:
    data = bytearray(parquet_bytes(["a" * 5000]))
    data[4 : 4 + len(header)] = header
    (tmp_path / "a.parquet").write_bytes(data)
    assert read(Parquet(path=str(tmp_path))) == ({}, {"a.parquet:1": BAD_PAGE})


def test_a_column_that_is_encrypted_is_set_aside_though_pyarrow_would_end_the_process(tmp_path: Path) -> None:
    import pyarrow.parquet.encryption as encryption

    class Keys(encryption.KmsClient):
        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
            return base64.b64encode(key_bytes)

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
            return base64.b64decode(wrapped_key)

    settings = encryption.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["secret"]}, plaintext_footer=True, double_wrapping=False
    )
    factory = encryption.CryptoFactory(lambda _: Keys())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), settings)
    table = pyarrow.table({"text": ["one"], "secret": ["two"]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", encryption_properties=properties)
    assert read(Parquet(path=str(tmp_path)))[0] == {"a.parquet:1": "one"}
    texts, reasons = read(Parquet(path=str(tmp_path), text_field="secret"))
    assert (texts, list(reasons)) == ({}, ["a.parquet:1"])


def test_row_groups_that_share_their_pages_are_read_once(tmp_path: Path) -> None:
    data = parquet_bytes(["one", "two"])
    footer = io.BytesIO()
    groups = pyarrow.parquet.read_metadata(io.BytesIO(data))
    for _ in range(20):
        groups.append_row_groups(pyarrow.parquet.read_metadata(io.BytesIO(data)))
    groups.write_metadata_file(footer)
    (own_bytes,), footer_bytes = struct.unpack("<I", data[-8:-4]), footer.getvalue()
    (new_bytes,) = struct.unpack("<I", footer_bytes[-8:-4])
    (tmp_path / "a.parquet").write_bytes(data[: -8 - own_bytes] + footer_bytes[-8 - new_bytes :])
    texts, reasons = read(Parquet(path=str(tmp_path)))
    assert list(texts.values()) == ["one", "two"] == texts_in_parts(Parquet(path=str(tmp_path)))
    assert list(reasons) == [f"a.parquet:{row}" for row in range(3, 43, 2)]
    assert set(reasons.values()) == {f"damaged: columns that overlap, or lie out of the file{LOST}"}


def test_batches_of_an_arrow_file_that_are_one_are_read_once(tmp_path: Path) -> None:
    schema = pyarrow.schema([("text", pyarrow.string())])
    with pyarrow.ipc.new_file(str(tmp_path / "a.arrow"), schema) as writer:
        for _ in range(9):
            writer.write_batch(pyarrow.record_batch([["text"]], schema=schema))
    data = (tmp_path / "a.arrow").read_bytes()
    blocks = [struct.pack("<qi4xq", *each) for each in places(io.BytesIO(data), RECORD_BATCHES)]
    for block in blocks[1:]:
        assert data.count(block) == 1
        data = data.replace(block, blocks[0])
    (tmp_path / "a.arrow").write_bytes(data)
    texts, reasons = read(Arrow(path=str(tmp_path)))
    assert list(texts) == ["a.arrow:1"]
    assert list(reasons.values()) == [f"damaged: batches that overlap{LOST}"] * 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_in_a_block_takes_no_row_of_the_others_however_the_file_is_cut(kind: str, tmp_path: Path) -> None:
    schema = pyarrow.schema([("text", pyarrow.string())])
    path = str(tmp_path / f"a.{kind}")
    blocks = [["one", "two"], ["a" * (70 << 20)], ["three"]]
    if kind == "parquet":
        options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
        writer = pyarrow.parquet.ParquetWriter(path, schema, **options)
    else:
        writer = pyarrow.ipc.new_file(path, schema, options=pyarrow.ipc.IpcWriteOptions(compression="zstd"))
    with writer:
        for block in blocks:
            writer.write_table(pyarrow.table({"text": block}, schema=schema))
    source = KINDS[kind](path=str(tmp_path))
    texts, reasons = read(source)
    assert texts == {f"a.{kind}:1": "one", f"a.{kind}:2": "two", f"a.{kind}:4": "three"}
    assert list(reasons) == [f"a.{kind}:3"]
    assert "set aside as a bomb" in reasons[f"a.{kind}:3"]
    assert len(source.parts(1)) == 3
    assert texts_in_parts(source) == list(texts.values())


def test_columns_are_found_by_their_whole_names(tmp_path: Path) -> None:
    columns = {"meta": ["x", "y"], "meta.text": ["one", "two"], "meta.text.more": ["3", "4"]}
    write_both(pyarrow.table(columns), tmp_path)
    for source in KINDS.values():
        assert list(read(source(path=str(tmp_path), text_field="meta.text"))[0].values()) == ["one", "two"]
    # more rows than are read at once, of a column whose growth is known only if its pages are found
    long = pyarrow.table({"meta.text": ["a" * 20_000] * 1200})
    pyarrow.parquet.write_table(long, tmp_path / "a.parquet", compression="none", use_dictionary=False)
    source = Parquet(path=str(tmp_path), text_field="meta.text")
    with (tmp_path / "a.parquet").open("rb") as binary:
        table, _ = source.opened_table(binary)
        assert max(batch.num_rows for batch, _ in source.batches(table, 0)) < 500


def test_two_columns_of_one_name_set_the_file_aside(tmp_path: Path) -> None:
    table = pyarrow.Table.from_arrays([pyarrow.array(["one"]), pyarrow.array(["two"])], names=["text", "text"])
    write_both(table, tmp_path)
    for kind, source in KINDS.items():
        assert read(source(path=str(tmp_path))) == ({}, {f"a.{kind}": "two of its columns have the same name"})
    write_both(pyarrow.table({"text": ["one"]}), tmp_path)
    for source in KINDS.values():
        [document] = source(path=str(tmp_path), group_field="text").documents()
        assert (document.text, document.group) == ("one", "one")


def views(data: bytes, count: int) -> pyarrow.Array:
    each = struct.pack("<i4sii", len(data), data[:4], 0, 0)
    buffers = [None, pyarrow.py_buffer(each * count), pyarrow.py_buffer(data)]
    return pyarrow.Array.from_buffers(pyarrow.string_view(), count, buffers)


TEXT = "a" * 16_000_000
REPEATED = {
    "views": lambda: views(TEXT.encode(), 300),
    "runs": lambda: pyarrow.RunEndEncodedArray.from_arrays(pyarrow.array([300], pyarrow.int32()), [TEXT]),
    "dictionary": lambda: pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 300), [TEXT]),
}


@pytest.mark.parametrize("column", REPEATED.values(), ids=REPEATED)
def test_one_value_in_many_rows_is_decoded_one_by_one(column: object, tmp_path: Path) -> None:
    batch = pyarrow.record_batch([column()], names=["text"])
    with pyarrow.ipc.new_file(
        str(tmp_path / "a.arrow"), batch.schema, options=pyarrow.ipc.IpcWriteOptions(compression="zstd")
    ) as writer:
        writer.write_batch(batch)
    texts, reasons = read(Arrow(path=str(tmp_path)))
    assert list(texts) == [f"a.arrow:{row}" for row in range(1, 5)]
    assert "set aside as a bomb" in reasons["a.arrow:5"]


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.string_view(), pyarrow.json_()], ids=str)
def test_every_kind_of_text_has_its_bounds(kind: pyarrow.DataType, tmp_path: Path) -> None:
    values = [b'"good"', b'"bad \xff"', b'"' + b"x" * 3000 + b'"', None]
    plain = pyarrow.string() if kind == pyarrow.json_() else kind
    stored = pyarrow.array(values, pyarrow.binary_view() if kind == pyarrow.string_view() else pyarrow.binary())
    column = pyarrow.Array.from_buffers(plain, len(values), stored.buffers())
    if kind == pyarrow.json_():
        column = pyarrow.ExtensionArray.from_storage(kind, column)
    write_both(pyarrow.table({"text": column}), tmp_path)
    for name, source in KINDS.items():
        texts, reasons = read(source(path=str(tmp_path), max_document_bytes=1000))
        assert texts == {f"a.{name}:1": '"good"'}
        found = [reason.removeprefix("column 'text' is ") for reason in reasons.values()]
        assert found == ["not UTF-8", "longer than max_document_bytes", "no string"]


def test_columns_that_are_not_wanted_do_not_count(tmp_path: Path) -> None:
    zeros = pyarrow.FixedSizeListArray.from_arrays(pyarrow.nulls(300 << 18, pyarrow.uint8()).fill_null(0), 1 << 18)
    columns = {"before": zeros, "view": pyarrow.array(["v" * 99] * 300, pyarrow.string_view()), "text": ["t"] * 300}
    table = pyarrow.table(columns | {"tags": [["x"]] * 300, "after": zeros, "more": zeros})
    options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
    for opened in (pyarrow.ipc.new_file, pyarrow.ipc.new_stream):
        with opened(str(tmp_path / "a.arrow"), table.schema, options=options) as writer:
            writer.write_table(table)
        texts, reasons = read(Arrow(path=str(tmp_path), group_field="view"))
        assert (len(texts), reasons) == (300, {})
        assert "bomb" in str(read(Arrow(path=str(tmp_path), text_field="before"))[1])


def test_a_part_reads_its_own_blocks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pyarrow.table({"text": [f"{number} " * 50 for number in range(2000)]})
    write_both(table, tmp_path, max_chunksize=20)
    source = Arrow(path=str(tmp_path))
    parts = source.parts(20_000)
    assert len(parts) > 20
    looked_at = []
    look = source.block
    monkeypatch.setattr(Arrow, "block", lambda _, table, index: looked_at.append(index) or look(table, index))
    assert len(list(source.documents(parts[3]))) == 20 * (parts[3].end - parts[3].start)
    assert looked_at == list(range(parts[3].start, parts[3].end))


def test_a_stream_with_a_description_beyond_bounds_is_not_read_unseen(tmp_path: Path) -> None:
    schema = pyarrow.schema([("text", pyarrow.string())], metadata={"k": "v" * (17 << 20)})
    with pyarrow.ipc.new_stream(
        str(tmp_path / "a.arrow"), schema, options=pyarrow.ipc.IpcWriteOptions(compression="zstd")
    ) as writer:
        writer.write_batch(pyarrow.record_batch([["a" * (100 << 20)]], schema=schema))
    assert read(Arrow(path=str(tmp_path)))[1] == {"a.arrow:1": f"damaged: a batch that cannot be read{LOST}"}
