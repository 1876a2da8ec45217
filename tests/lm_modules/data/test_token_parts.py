"""A corpus in files: each is encoded once, in any order, and joined to what the whole would be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet
import pytest

from configs.tokenization import MixingConfig, TokenizationConfig
from lm_modules.data.corpus import corpus_files, read_corpus
from lm_modules.data.encoding import Encoder
from lm_modules.data.mixing import epochs_by_group, source_epochs, times_read
from lm_modules.data.packed import PackedTokens, pack
from lm_modules.data.token_parts import encode_part
from lm_modules.data.tokenization import save_tokenizer
from lm_modules.data.tokenizers.bytes import Bytes

CONFIG = TokenizationConfig.model_validate({"tokenizer": "bytes"})


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("of_bytes")
    save_tokenizer(Bytes().train(iter([])), folder)
    return folder


def write_corpus(folder: Path, cuts: tuple[int, ...], sources: list[dict[str, Any]] | None = None) -> Path:
    """Sixty documents in files that end at `cuts`; in one file `train.parquet` if there is one cut."""
    rows = [
        {
            "id": f"{number}",
            "text": f"document {number} é " * (1 + number % 4),
            "source": ("web", "books/a", "books/b")[number % 3],
            "group": None,
            "language": ("en", "en", "en", "eu", None)[number % 5],
        }
        for number in range(60)
    ]
    for split in ("train", "validation", "test"):
        for number, (first, last) in enumerate(zip((0, *cuts), (*cuts, len(rows)), strict=True)):
            path = folder / f"{split}.parquet" if not cuts else folder / split / f"{number:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            arrow.parquet.write_table(arrow.Table.from_pylist(rows[first:last]), path)
    (folder / "report.json").write_text(json.dumps({"config": {"sources": sources or []}}))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_tokens_do_not_depend_on_how_the_corpus_is_cut_into_files(tokenizer: Path, tmp_path: Path) -> None:
    found = []
    for cuts in ((), (1,), (7, 30, 31, 59)):
        corpus = write_corpus(tmp_path / f"corpus{len(cuts)}", cuts)
        assert len(corpus_files(corpus, "train")) == len(cuts) + 1
        pack(CONFIG, corpus, tokenizer, tmp_path / f"tokens{len(cuts)}")
        found.append(files(tmp_path / f"tokens{len(cuts)}"))
    assert found[0] == found[1] == found[2]
    packed = PackedTokens.open(tmp_path / "tokens4", "train")
    texts = [document.text.encode() for document in read_corpus(tmp_path / "corpus4", "train")]
    assert packed.num_bytes == sum(map(len, texts))
    assert np.diff(packed.document_starts).tolist() == [len(text) + 1 for text in texts]
    assert [packed.source_names[place] for place in packed.document_sources[:3]] == ["web", "books/a", "books/b"]


def test_a_part_that_is_there_is_not_made_again_and_an_unfinished_one_is(
    tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, parts = write_corpus(tmp_path / "corpus", (20, 40)), tmp_path / "parts"
    pack(CONFIG, corpus, tokenizer, tmp_path / "whole")
    encoded: list[str] = []
    encode = Encoder.encode

    def noted(self: Encoder, texts: list[str], pool: Any = None) -> list[np.ndarray]:
        encoded.extend(texts)
        if len(encoded) == 60:  # the last of the three files of train
            raise InterruptedError
        return encode(self, texts, pool)

    monkeypatch.setattr(Encoder, "encode", noted)
    with pytest.raises(InterruptedError):
        pack(CONFIG, corpus, tokenizer, tmp_path / "tokens", parts)
    assert sorted(path.name.split("-", 2)[1] for path in parts.iterdir() if "unfinished" not in path.name) == [
        "00000",
        "00001",
    ]
    encoded.append("so that it goes on")
    pack(CONFIG, corpus, tokenizer, tmp_path / "tokens", parts)
    assert len(encoded) == 60 + 1 + 20 + 120
    assert files(tmp_path / "tokens") == files(tmp_path / "whole")
    # another text in the file: the part is of no use any more
    arrow.parquet.write_table(
        arrow.Table.from_pylist([{"id": "x", "text": "other", "source": "web", "group": None}]),
        corpus / "train" / "00001.parquet",
    )
    meta = pack(CONFIG, corpus, tokenizer, tmp_path / "tokens", parts)
    assert meta["splits"]["train"]["num_documents"] == 41
    assert len(encoded) == 60 + 1 + 20 + 120 + 1


def test_parts_can_be_made_by_others_before(tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_modules.data.input_files import file_digest

    corpus = write_corpus(tmp_path / "corpus", (20, 40))
    digest = file_digest(tokenizer / "tokenizer.json")
    for split in ("test", "train", "validation"):
        for number, file in reversed(list(enumerate(corpus_files(corpus, split)))):
            encode_part(Encoder(tokenizer), digest, file, tmp_path / "parts" / f"{split}-{number:05d}")
    pack(CONFIG, corpus, tokenizer, tmp_path / "whole")
    monkeypatch.delattr(Encoder, "encode")
    pack(CONFIG, corpus, tokenizer, tmp_path / "tokens", tmp_path / "parts")
    assert files(tmp_path / "tokens") == files(tmp_path / "whole")


def test_repeats_follow_in_later_rounds(tokenizer: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", (20, 40), [{"kind": "jsonl", "name": "books", "epochs": 2.5}])
    meta = pack(CONFIG, corpus, tokenizer, tmp_path / "tokens")
    packed = PackedTokens.open(tmp_path / "tokens", "train")
    texts = [bytes_of(packed, number) for number in range(packed.num_documents)]
    documents = list(read_corpus(corpus, "train"))
    books = [document.text for document in documents if document.source.startswith("books")]
    first, second, third = packed.rounds
    assert texts[:first] == [document.text for document in documents]
    assert texts[first:second] == books
    assert 5 < len(texts[second:third]) < 35
    assert set(texts[second:third]) <= set(books)
    assert third == packed.num_documents
    assert meta["mixture"]["sources"]["web"]["epochs"] == 1
    assert 2.2 < meta["mixture"]["sources"]["books/a"]["epochs"] < 2.8
    assert packed.num_bytes == sum(len(text.encode()) for text in texts)
    assert PackedTokens.open(tmp_path / "tokens", "validation").num_documents == 60


def bytes_of(packed: PackedTokens, number: int) -> str:
    from lm_modules.data.tokenizers import SPECIAL

    assert packed.vocab_size == 320
    start, end = packed.document_starts[number : number + 2]
    vocabulary = Bytes().train(iter([]))
    assert len(SPECIAL) < 64
    return vocabulary.decode(packed.tokens[start : end - 1].tolist())


def test_small_languages_are_read_more_often(tokenizer: Path, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", (20,))
    config = CONFIG.model_copy(update={"mixing": MixingConfig(language_exponent=0.3)})
    plain, mixed = (pack(each, corpus, tokenizer, tmp_path / "tokens")["mixture"] for each in (CONFIG, config))
    assert {each["epochs"] for each in plain["languages"].values()} == {1}
    assert mixed["languages"]["en"]["epochs"] == mixed["languages"]["unknown"]["epochs"] == 1
    sizes = {name: each["tokens"] for name, each in plain["languages"].items()}
    expected = (sizes["eu"] / sizes["en"]) ** -0.7
    assert mixed["languages"]["eu"]["epochs"] == pytest.approx(expected, abs=0.3)


def test_weights_of_sources_and_their_limit() -> None:
    tokens = {("web", None): 900, ("books/a", None): 60, ("books/b", None): 40}
    half = MixingConfig(source_weights={"web": 0.9, "books": 0.2})
    assert epochs_by_group(tokens, {}, half) == {
        ("web", None): 1,
        ("books/a", None): pytest.approx(2),
        ("books/b", None): pytest.approx(2),
    }
    much = MixingConfig(source_weights={"web": 1, "books": 9})
    assert epochs_by_group(tokens, {}, much)["books/a", None] == 4
    assert epochs_by_group(tokens, {"web": 6, "books/a": 0.5}, MixingConfig()) == {
        ("web", None): 6,
        ("books/a", None): 0.5,
        ("books/b", None): 1,
    }
    with pytest.raises(ValueError, match=r"has no weight for books/a, books/b; give every source one"):
        epochs_by_group(tokens, {}, MixingConfig(source_weights={"web": 1}))
    assert source_epochs({"config": {"sources": [{"kind": "jsonl", "name": None, "epochs": 3}, {"kind": "x"}]}}) == {
        "jsonl": 3
    }


def test_more_epochs_only_add_documents() -> None:
    keys = np.random.default_rng(0).integers(0, 2**63, 20_000).astype(np.uint64)
    before = np.zeros(len(keys), int)
    for epochs in (0.25, 0.75, 1.0, 2.3):
        times = times_read(keys, np.full(len(keys), epochs))
        assert times.mean() == pytest.approx(epochs, abs=0.015)
        assert (times >= before).all()
        assert set(np.unique(times)) <= {int(epochs), int(epochs) + 1}
        before = times
