"""Texts are cut as the tokenizer cuts them, only faster."""

from __future__ import annotations

import json
import sys
import unicodedata
import unittest
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from lm_modules.data.byte_level import PATTERNS
from lm_modules.data.encoding import Encoder
from lm_modules.data.tokenization import save_tokenizer
from lm_modules.data.tokenizers.byte_bpe import ByteBpe
from lm_modules.data.tokenizers.unigram import Unigram

SAMPLE = [
    Path(json.__file__).read_text(),
    Path(unittest.__file__).read_text(),
    "",
    "cafÃ© naïve e\u0301\u00a0—\u2028œuvre a\x00b\x0cc\u200bd\ufeffe\x1b[0m",
    "日本語のテキスト العربية हिन्दी 한국어 ไทย עברית 👩‍👩‍👧‍👦🏳️‍🌈",
    "def f(x):\r\n\treturn  x ** 2  # <|endoftext|>\r\n" * 30,
    "a" * 3000,
    " " * 700 + "x" + "\n" * 500 + "12 345\u00a0678 ½ Ⅷ x²",
    "it's they'LL we'd'''s  don't\t 'tis",
]


def trained(folder: Path, **settings: object) -> tuple[Encoder, Tokenizer]:
    tokenizer = ByteBpe.model_validate({"vocabulary_size": 1024, **settings}).train(iter(SAMPLE * 2))
    save_tokenizer(tokenizer, folder)
    return Encoder(folder, threads=2), tokenizer


@pytest.mark.parametrize(("split_digits", "whitespace"), PATTERNS)
def test_every_character_is_cut_alike_wherever_it_stands(split_digits: bool, whitespace: str, tmp_path: Path) -> None:
    encoder, _ = trained(tmp_path, split_digits=split_digits, whitespace=whitespace)
    assert encoder._fast is not None
    given = [code for code in range(sys.maxunicode) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs", "Lo")]
    given += range(0x3400, 0x4000, 16)
    texts = [
        "".join(f"a{chr(code)} {chr(code)}{chr(code)}5 \n" for code in given[start : start + 2000])
        for start in range(0, len(given), 2000)
    ]
    for one, other in zip(encoder.encode(texts + SAMPLE), encoder._encode_plainly(texts + SAMPLE), strict=True):
        assert np.array_equal(one, other)
    assert encoder._fast is not None


def test_batches_come_in_their_order_and_special_tokens_stay_text(tmp_path: Path) -> None:
    from lm_modules.data.documents import Document

    encoder, tokenizer = trained(tmp_path)
    documents = [Document(str(number), f"{number} <|endoftext|> text", "web") for number in range(40)]
    batches = [documents[start : start + 7] for start in range(0, 40, 7)]
    found = list(encoder.encoded(batches))
    assert [each for batch, _ in found for each in batch] == documents
    for batch, encoded in found:
        for document, tokens in zip(batch, encoded, strict=True):
            assert encoder.end_of_text_id not in tokens
            assert tokenizer.decode(tokens.tolist(), skip_special_tokens=False) == document.text


def test_endless_white_space_is_left_to_the_tokenizer(tmp_path: Path) -> None:
    encoder, _ = trained(tmp_path)
    encoder.encode(["warm"])
    text = "x" + " " * 1_200_000 + "y"  # of which tiktoken would die
    assert np.array_equal(encoder.encode([text])[0], encoder._encode_plainly([text])[0])


@pytest.mark.parametrize("kind", ["byte_bpe", "word_piece", "unigram", "characters", "bytes"])
def test_a_long_document_is_encoded_in_pieces_to_the_same_tokens(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from configs.component import members

    save_tokenizer(members("lm_modules.data.tokenizers")[kind]().train(iter(SAMPLE)), tmp_path)
    encoder = Encoder(tmp_path)
    expected = encoder._encode_plainly(SAMPLE)
    monkeypatch.setattr("lm_modules.data.encoding.LONG_TEXT", 600)
    monkeypatch.setattr("lm_modules.data.encoding.CHARACTERS_ENCODED_AT_ONCE", 300)
    pieces: list[str] = []
    plainly, fast = encoder._encode_plainly, encoder._encode_fast
    for name, way in (("_encode_plainly", plainly), ("_encode_fast", fast)):
        monkeypatch.setattr(encoder, name, lambda texts, way=way: pieces.extend(texts) or way(texts))
    assert all(np.array_equal(*each) for each in zip(encoder.encode(SAMPLE), expected, strict=True))
    assert len(pieces) > len(SAMPLE) + 20


def bpe(folder: Path, merges: list[tuple[str, str]], **changes: object) -> Encoder:
    names = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    names += [name for name in dict.fromkeys(map("".join, merges)) if name not in names]
    backend = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    if changes.get("added"):
        backend.add_tokens([AddedToken("function", normalized=False)])
    save_tokenizer(backend, folder)
    return Encoder(folder)


def test_merges_that_others_could_make_too_are_left_to_the_tokenizer(tmp_path: Path) -> None:
    plain = bpe(tmp_path / "a", [("a", "b"), ("ab", "c")])
    assert plain._fast is not None
    # "abc" is never made of "a" and "bc" by the tokenizer, which joins "bc" first: tiktoken would
    other = bpe(tmp_path / "b", [("b", "c"), ("a", "b"), ("ab", "c")])
    assert other._fast is None
    assert [other.tokenizer.id_to_token(each) for each in other.encode(["abc"])[0]] == ["a", "bc"]


def test_tokenizers_of_another_make_are_used_as_they_are(tmp_path: Path) -> None:
    assert bpe(tmp_path / "added", [("a", "b")], added=True)._fast is None
    save_tokenizer(Unigram(vocabulary_size=512).train(iter(SAMPLE)), tmp_path / "unigram")
    encoder = Encoder(tmp_path / "unigram")
    assert encoder._fast is None
    for text, tokens in zip(SAMPLE, encoder.encode(SAMPLE), strict=True):
        assert encoder.tokenizer.decode(tokens.tolist(), skip_special_tokens=False) == text


def test_a_tiktoken_that_cuts_otherwise_is_found_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import tiktoken

    encoder, _ = trained(tmp_path)
    fast = encoder._fast
    assert fast is not None
    encoder._fast = tiktoken.Encoding(
        "other", pat_str=r"\S+|\s+", mergeable_ranks=fast._mergeable_ranks, special_tokens={}
    )
    expected = encoder._encode_plainly(SAMPLE)
    assert all(np.array_equal(*each) for each in zip(encoder.encode(SAMPLE), expected, strict=True))
    assert "tiktoken cuts a text in another way" in caplog.text


def test_closed_tokenizers_are_recognised_by_their_file(tmp_path: Path) -> None:
    trained(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["normalizer"] = {"type": "NFC"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert Encoder(tmp_path)._fast is None
