"""Tokenizers taken over from models: their files, the roles of their special tokens, the bytes of their tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stock_bases import save_base
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import BertConfig, PreTrainedTokenizerFast

from configs.tokenization import TokenizationConfig
from lm_modules.data.corpus import SplitWriter
from lm_modules.data.documents import Document
from lm_modules.data.packed import PackedTokens, pack
from lm_modules.data.special_tokens import special_tokens
from lm_modules.data.tokenization import train_tokenizer
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.training.callbacks.validation import token_bytes

CONFIG = TokenizationConfig.model_validate({"tokenizer": "pretrained"})
TEXTS = ("No two texts", "are alike", "in Capitals", "here")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    splits = {}
    for split in ("train", "validation", "test"):
        writer = SplitWriter(folder / f"{split}.parquet")
        for number, text in enumerate(TEXTS):
            writer.write(Document(str(number), text, "source"))
        splits[split] = writer.close()
    (folder / "report.json").write_text(json.dumps({"splits": splits}))
    return folder


@pytest.mark.parametrize("kind", ["gpt2", "bert", "t5"])
def test_files_are_kept_and_roles_are_found(kind: str, corpus: Path, tmp_path: Path) -> None:
    base, taken = save_base(kind, tmp_path / "base"), tmp_path / "tokenizer"
    (base / "chat_template.jinja").write_text("{{ messages }}")
    report = train_tokenizer(CONFIG, corpus, taken, base)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (taken / name).read_bytes() == (base / name).read_bytes()
    assert not (taken / "model.safetensors").exists()
    # BERT's lowers the case, of which two texts have more than one
    assert report["held_out"]["changed_documents"] == (2 if kind == "bert" else 0)
    assert report["trained_on"] == {"documents": 0, "characters": 0}
    meta = pack(CONFIG, corpus, taken, tmp_path / "tokens")
    tokens = PackedTokens.open(tmp_path / "tokens", "train")
    vocabulary = Vocabulary.of(taken, meta["vocab_size"], meta["end_of_text_id"])
    stock = PreTrainedTokenizerFast.from_pretrained(base)
    end = stock.sep_token_id if kind == "bert" else stock.eos_token_id
    assert vocabulary.end_of_text_id == end == tokens.tokens[tokens.document_starts[1] - 1]
    if kind == "bert":
        assert (vocabulary.mask_id, vocabulary.pad_id, vocabulary.separator_id) == (3, 0, end)
    if kind == "t5":
        first, second = vocabulary.sentinel_ids(2)
        assert [first, second] == stock.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])
        with pytest.raises(ValueError, match=r"no special token <\|mask\|>"):
            _ = vocabulary.mask_id
    if kind == "gpt2":
        with pytest.raises(ValueError, match=r"no special token <\|pad\|>"):
            _ = vocabulary.pad_id


def test_roles_that_only_the_class_of_a_tokenizer_knows_are_found(corpus: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    BertConfig(vocab_size=30).save_pretrained(base)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend = Tokenizer(models.WordPiece({each: number for number, each in enumerate([*names, "are", "here"])}))
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(names)
    backend.save(str(base / "tokenizer.json"))
    (base / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    train_tokenizer(CONFIG, corpus, tmp_path / "tokenizer", base)
    assert dict(special_tokens(tmp_path / "tokenizer")).items() >= {"<|endoftext|>": 3, "<|mask|>": 4}.items()
    assert (tmp_path / "tokenizer" / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()


def test_bart_takes_its_mask_for_every_span_and_no_other_has_to(tmp_path: Path) -> None:
    vocabulary = Vocabulary.of(save_base("bart", tmp_path), 320, 2)
    assert vocabulary.sentinel_ids(3, or_mask=True) == [vocabulary.mask_id] * 3
    with pytest.raises(ValueError, match="needs 3 sentinels"):
        vocabulary.sentinel_ids(3)


def test_a_model_without_a_tokenizer_is_a_mistake(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    with pytest.raises(ValueError, match="has no tokenizer that transformers can open"):
        train_tokenizer(CONFIG, corpus, tmp_path / "tokenizer", tmp_path / "base")


def byte_level(directory: Path, normalizer=None, **settings) -> Path:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={each: number for number, each in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(**{"add_prefix_space": False, **settings})
    backend.decoder = decoders.ByteLevel()
    if normalizer:
        backend.normalizer = normalizer
    backend.add_tokens([AddedToken("  é", normalized=False)])
    backend.add_special_tokens(["<end>"])
    directory.mkdir()
    backend.save(str(directory / "tokenizer.json"))
    return directory


def test_tokens_that_were_added_stand_for_their_own_bytes(tmp_path: Path) -> None:
    directory = byte_level(tmp_path / "plain")
    lengths = token_bytes(directory)
    assert lengths is not None
    text = "a  é日b"
    ids = Tokenizer.from_file(str(directory / "tokenizer.json")).encode(text).ids
    assert len(ids) < len(text.encode())
    assert lengths[ids].sum() == len(text.encode())
    assert lengths[257] == 0


def test_where_the_text_is_changed_first_tokens_do_not_stand_for_its_bytes(tmp_path: Path) -> None:
    assert token_bytes(byte_level(tmp_path / "normalized", normalizers.NFC())) is None
    assert token_bytes(byte_level(tmp_path / "prefixed", add_prefix_space=True)) is None
