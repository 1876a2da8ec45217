"""Words and the windows in which a model reads them, by tokenizers of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import save_bert, save_llama
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, PythonBackend

from lm_modules.model.stock import open_tokenizer
from lm_modules.serving.word_windows import windows, word_spans

WORDS = ["Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}", "&", "co", "met", "\N{GRINNING FACE}", "in", "東京", "."] * 3


class Characters(PythonBackend):
    """A tokenizer in Python, which tells no places."""

    vocab_files_names: dict = {}  # noqa: RUF012

    @property
    def vocab_size(self) -> int:
        return 0x110000

    def get_vocab(self) -> dict[str, int]:
        return {}

    def _tokenize(self, text: str, **kwargs) -> list[str]:
        return list(text.strip())

    def _convert_token_to_id(self, token: str) -> int:
        return ord(token) if len(token) == 1 else 0

    def _convert_id_to_token(self, index: int) -> str:
        return chr(index)


def trained(model, trainer, pre_tokenizer, normalizer=None) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator([" ".join(WORDS)] * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", model_max_length=12)


def make(kind: str, directory: Path):
    special = ["[UNK]"]
    if kind in ("byte_bpe", "byte_bpe_with_special_tokens"):
        return open_tokenizer({"byte_bpe": save_llama}.get(kind, save_bert)(directory), 12)
    if kind == "merged_byte_bpe":
        trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
        return trained(models.BPE(), trainer, pre_tokenizers.ByteLevel(add_prefix_space=False))
    if kind == "word_piece":
        trainer = trainers.WordPieceTrainer(vocab_size=60, special_tokens=special, show_progress=False)
        return trained(
            models.WordPiece(unk_token="[UNK]"),
            trainer,
            pre_tokenizers.BertPreTokenizer(),
            normalizers.BertNormalizer(lowercase=True),
        )
    if kind in ("unigram", "unigram_over_spaces"):
        trainer = trainers.UnigramTrainer(
            vocab_size=60, special_tokens=special, unk_token="[UNK]", show_progress=False, max_piece_length=9
        )
        return trained(models.Unigram(), trainer, pre_tokenizers.Metaspace() if kind == "unigram" else None)
    return Characters(model_max_length=12)


KINDS = (
    "byte_bpe",
    "byte_bpe_with_special_tokens",
    "merged_byte_bpe",
    "word_piece",
    "unigram",
    "unigram_over_spaces",
    "in_python",
)


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path):
    return make(request.param, tmp_path)


@pytest.mark.parametrize("piece", ["first", "last"])
def test_every_word_is_asked_once_at_a_piece_of_its_own_in_a_window_that_fits(tokenizer, piece):
    cut = windows(WORDS, tokenizer, piece)
    assert len(cut) > 2
    assert all(len(each.token_ids) <= 12 for each in cut)
    assert [word for each in cut for _, word in each.places] == list(range(len(WORDS)))
    for each in cut:
        assert len({place for place, _ in each.places}) == len(each.places)


def test_a_word_is_asked_where_its_letters_are(tmp_path):
    for kind in ("byte_bpe", "byte_bpe_with_special_tokens"):
        tokenizer = make(kind, tmp_path / kind)
        for piece, letter in (("first", 0), ("last", -1)):
            for each in windows(WORDS, tokenizer, piece):
                for place, word in each.places:
                    letters = WORDS[word].encode()
                    # these have a token for every byte
                    token = tokenizer.convert_ids_to_tokens(each.token_ids[place])
                    assert token == tokenizer.tokenize(WORDS[word])[letter], (letters, token)


def test_every_window_is_framed_by_the_special_tokens(tmp_path):
    tokenizer = make("byte_bpe_with_special_tokens", tmp_path)
    for each in windows(WORDS, tokenizer):
        assert (each.token_ids[0], each.token_ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)


def test_a_word_in_two_windows_is_asked_where_more_is_around_it(tmp_path):
    cut = windows(["a"] * 40, make("byte_bpe", tmp_path))
    for each in cut[1:-1]:
        places = [place for place, _ in each.places]
        # windows of 12 tokens share 3
        assert min(places) >= 1
        assert max(places) <= 10


def test_tokens_are_those_of_the_text_as_it_is(tmp_path):
    tokenizer = make("merged_byte_bpe", tmp_path)
    tokenizer.model_max_length = 1000
    (whole,) = windows(WORDS, tokenizer)
    assert whole.token_ids == tokenizer(" ".join(WORDS))["input_ids"]


def test_a_word_of_which_nothing_is_left_is_in_no_window(tmp_path):
    tokenizer = make("word_piece", tmp_path)
    assert [word for each in windows(["co", "\x00", "met"], tokenizer) for _, word in each.places] == [0, 2]
    assert windows(["\x00"], tokenizer) == []


def test_words_are_apart_from_punctuation_and_nothing_but_spaces_is_left_out():
    text = "Rick (@rick) pays 3.50 for U.S. post-war 東京 maps: https://a.b/c?d=1 It's."
    words = [text[start:end] for start, end in word_spans(text)]
    assert words == [
        *("Rick", "(", "@rick", ")", "pays", "3.50", "for", "U.S.", "post-war", "東", "京", "maps", ":"),
        *("https://a.b/c?d=1", "It", "'s", "."),
    ]
    assert "".join(words) == "".join(text.split())
