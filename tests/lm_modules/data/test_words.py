import json
import re

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from lm_modules.data.tokenizers.byte_bpe import ByteBpe
from lm_modules.data.tokenizers.bytes import Bytes
from lm_modules.data.words import first_of_word, word_parts

TEXT = "Reading the tokenizer file42, naïvely: re-reading it."


def trained(kind):
    texts = [TEXT, "read ing tok en iz er file"] * 3
    if kind == "byte_bpe":
        return ByteBpe(vocabulary_size=320, min_frequency=1).train(iter(texts))
    if kind == "bytes":
        return Bytes().train(iter(texts))
    if kind == "word_piece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False)
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=60, special_tokens=["[UNK]"], unk_token="[UNK]", show_progress=False
        )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


@pytest.mark.parametrize("kind", ["byte_bpe", "bytes", "word_piece", "metaspace"])
def test_the_tokens_of_a_word_have_one_beginning(kind):
    tokenizer = trained(kind)
    encoded = tokenizer.encode(TEXT)
    parts = word_parts(json.loads(tokenizer.to_str()), tokenizer.get_vocab_size())
    first = first_of_word(torch.tensor([encoded.ids]), parts)[0].tolist()
    begins = sorted({encoded.offsets[position][0] for position in first})
    found = [TEXT[start:end].strip() for start, end in zip(begins, [*begins[1:], len(TEXT)], strict=True)]
    assert [each for each in found if each] == re.findall(r"\w+|[^\w\s]", TEXT)
    assert len(set(first)) < len(first)


def test_special_tokens_are_words_of_their_own_and_rows_begin_anew():
    tokenizer = trained("bytes")
    parts = word_parts(json.loads(tokenizer.to_str()), tokenizer.get_vocab_size())
    letter = tokenizer.token_to_id("a")
    assert first_of_word(torch.tensor([[letter, 0, letter, letter], [letter] * 4]), parts).tolist() == [
        [0, 1, 2, 2],
        [0, 0, 0, 0],
    ]
