from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from configs.data_preparation import DataPreparationConfig
from configs.tokenization import TokenizationConfig
from lm_modules.data.corpus import SplitWriter, read_corpus
from lm_modules.data.documents import Document
from lm_modules.data.packed import PackedTokens, pack, write_packed
from lm_modules.data.preparation import prepare
from lm_modules.data.tokenization import train_tokenizer

WORDS = ("the", "of", "and", "model", "text", "token", "learns", "123", "été", "日本語", "🙂", "<|endoftext|>", "def")
CONFIG = TokenizationConfig.model_validate({"tokenizer": {"kind": "byte_bpe", "vocabulary_size": 384}})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    chance = np.random.default_rng(0)
    texts = [{"text": " ".join(chance.choice(WORDS, 40)) + "\n"} for _ in range(100)]
    (folder / "texts.jsonl").write_text("\n".join(map(json.dumps, texts)))
    source = {"kind": "jsonl", "path": str(folder / "texts.jsonl")}
    prepare(DataPreparationConfig.model_validate({"sources": [source]}), folder / "corpus", seed=0)
    return folder / "corpus"


@pytest.fixture(scope="module")
def tokenizer(corpus, tmp_path_factory) -> Path:
    train_tokenizer(CONFIG, corpus, tmp_path_factory.mktemp("tokenizer"))
    return tmp_path_factory.getbasetemp() / "tokenizer0"


def test_tokenizer_opens_as_a_stock_one_and_gives_text_back(corpus, tokenizer) -> None:
    from transformers import AutoTokenizer

    stock = AutoTokenizer.from_pretrained(tokenizer)
    assert len(stock) == 384
    assert (stock.eos_token, stock.bos_token, stock.pad_token) == ("<|endoftext|>", "<|endoftext|>", "<|pad|>")
    assert (stock.eos_token_id, stock.pad_token_id) == (0, 1)
    text = "Spaces  before , punctuation ! don ' t move\n\t\x00 été 日本語 🙂"
    assert stock.decode(stock(text)["input_ids"], skip_special_tokens=True) == text


def test_training_twice_gives_the_same_bytes(corpus, tokenizer, tmp_path) -> None:
    report = train_tokenizer(CONFIG, corpus, tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == (tokenizer / "tokenizer.json").read_bytes()
    assert (tmp_path / "report.json").read_bytes() == (tokenizer / "report.json").read_bytes()
    assert json.loads((tmp_path / "report.json").read_text()).items() <= report.items()
    assert report["seconds"] >= report["training_seconds"] > 0
    assert report["bytes_per_token"] > 1
    assert report["held_out"]["documents"] == sum(1 for _ in read_corpus(corpus, "validation"))


def test_training_text_is_bounded_and_spread(corpus, tmp_path) -> None:
    config = CONFIG.model_copy(update={"training_characters": 3000})
    report = train_tokenizer(config, corpus, tmp_path)
    assert 2000 < report["trained_on"]["characters"] <= 3000


@pytest.mark.parametrize("lengths", [[9000], [9000, 9000], [10, 9000], [9000] + [30] * 300])
def test_long_documents_are_heard_as_much_as_short_ones(lengths: list[int], tmp_path) -> None:
    texts = [("beginning " if length > 1000 else "short one " * 1000) * 1000 for length in lengths]
    texts = [text[:length] for text, length in zip(texts, lengths, strict=True)]
    report = train_tokenizer(
        CONFIG.model_copy(update={"training_characters": 3000}), written(texts, tmp_path), tmp_path / "tokenizer"
    )
    assert 2000 < report["trained_on"]["characters"] <= 3000
    assert "beginning" in (tmp_path / "tokenizer" / "tokenizer.json").read_text()


def test_a_corpus_without_text_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"has no text to train a tokenizer on; add documents"):
        train_tokenizer(CONFIG, written([], tmp_path), tmp_path / "tokenizer")


def written(texts: list[str], folder: Path) -> Path:
    """Return a corpus with these texts for training."""
    sizes = {split: SplitWriter(folder / f"{split}.parquet") for split in ("train", "validation", "test")}
    for number, text in enumerate(texts):
        sizes["train"].write(Document(str(number), text, "source"))
    splits = {split: writer.close() for split, writer in sizes.items()}
    (folder / "report.json").write_text(json.dumps({"splits": splits}))
    return folder


def test_too_small_a_text_leaves_reserved_tokens(corpus, tmp_path) -> None:
    config = TokenizationConfig.model_validate({"tokenizer": {"kind": "byte_bpe", "vocabulary_size": 4096}})
    report = train_tokenizer(config, corpus, tmp_path)
    assert report["vocabulary_size"] == 4096


def test_packed_tokens_are_the_documents_one_after_the_other(corpus, tokenizer, tmp_path) -> None:
    from transformers import AutoTokenizer

    report = pack(CONFIG, corpus, tokenizer, tmp_path)
    stock = AutoTokenizer.from_pretrained(tokenizer)
    for split in ("train", "validation", "test"):
        documents = list(read_corpus(corpus, split))
        packed = PackedTokens.open(tmp_path, split)
        assert packed.num_documents == len(documents)
        assert packed.num_bytes == sum(len(each.text.encode()) for each in documents)
        assert packed.tokens.dtype == np.dtype("<u2")
        for index, document in enumerate(documents):
            ids = packed.tokens[packed.document_starts[index] : packed.document_starts[index + 1]]
            assert ids[-1] == packed.end_of_text_id
            # "<|endoftext|>" written in a document is text, so the token occurs only at its end.
            assert packed.end_of_text_id not in ids[:-1]
            assert stock.decode(ids[:-1].tolist()) == document.text
    assert report["unused_tokens"] < 384
    assert report["bytes_per_token"]["train"] == pytest.approx(
        report["splits"]["train"]["num_bytes"] / report["splits"]["train"]["num_tokens"], abs=1e-4
    )


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65536, "<u2"), (65537, "<u4")])
def test_large_vocabularies_take_four_bytes(vocab_size: int, dtype: str, tmp_path) -> None:
    documents = [(np.array([vocab_size - 1, 5]), 7), (np.array([], int), 0)]
    meta = write_packed(tmp_path, "train", documents, vocab_size=vocab_size, end_of_text_id=0)
    packed = PackedTokens.open(tmp_path, "train")
    assert meta["dtype"] == dtype
    assert packed.tokens.tolist() == [vocab_size - 1, 5, 0, 0]
    assert packed.document_starts.tolist() == [0, 3, 4]


def test_a_token_that_its_bytes_cannot_hold_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"token ids 0 to 70000 do not fit 2 bytes, which a vocabulary of 300 has"):
        write_packed(tmp_path, "train", [([5, 70_000], 2)], vocab_size=300, end_of_text_id=0)


def test_fingerprint_follows_the_tokens(tmp_path) -> None:
    def fingerprint(name: str, tokens: list[int]) -> str:
        write_packed(tmp_path / name, "train", [(tokens, 1)], vocab_size=64, end_of_text_id=0)
        write_packed(tmp_path / name, "test", [([1], 1)], vocab_size=64, end_of_text_id=0)
        return PackedTokens.open(tmp_path / name, "train").fingerprint

    assert fingerprint("a", [1, 2]) == fingerprint("b", [1, 2]) != fingerprint("c", [1, 3])


def test_missing_and_cut_off_tokens_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="is not a tokens directory"):
        PackedTokens.open(tmp_path, "train")
    write_packed(tmp_path, "train", [([1, 2, 3], 3)], vocab_size=64, end_of_text_id=0)
    with pytest.raises(ValueError, match="no split 'test'; it has: train"):
        PackedTokens.open(tmp_path, "test")
    (tmp_path / "train.bin").write_bytes(b"\0\0\0")
    with pytest.raises(ValueError, match="has 3 bytes, not 8: it was cut off"):
        PackedTokens.open(tmp_path, "train")
