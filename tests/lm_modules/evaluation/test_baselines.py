"""The baselines answer whatever the language and however few the examples."""

from __future__ import annotations

import pytest

from lm_modules.data.documents import Example
from lm_modules.evaluation.baselines import lead, nearest, tfidf
from lm_modules.heads.seq2seq import Seq2seq
from lm_modules.heads.sequence_classification import SequenceClassification

HEAD = SequenceClassification()


def examples(texts: list[str], labels: str) -> list[Example]:
    return [
        Example(str(index), {"text": text, "label": label})
        for index, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (["这部电影很好看", "我很喜欢这部电影", "这家餐厅很难吃", "我讨厌这家餐厅"], ["电影很好", "餐厅难吃"]),
        (["2024 とても面白い映画", "映画は2024", "料理がまずい店", "まずい料理です"], ["面白い映画", "まずい店"]),
        (["wonderful", "marvellous", "dreadful", "horrid"], ["marvel", "horrible"]),
        (["+ +", "++", "- -", "--"], ["+", "-"]),
    ],
    ids=["Chinese", "Japanese with figures", "no word twice", "no words"],
)
def test_texts_in_which_no_word_recurs_are_told_apart_by_their_characters(train: list[str], test: list[str]) -> None:
    assert [each.value for each in tfidf(HEAD, examples(train, "ggbb"), examples(test, "gb"))] == ["g", "b"]


def test_words_decide_where_there_are_some() -> None:
    train = examples(["good and long", "good and short", "bad and long", "bad and short"], "ggbb")
    # To runs of characters, "goodbad..." would be like "good".
    answers = tfidf(HEAD, train, examples(["a good one", "a bad one", "goodgoodgood bad"], "gbb"))
    assert [each.value for each in answers] == ["g", "b", "b"]


def pairs(*texts: tuple[str, str]) -> list[Example]:
    return [Example(str(index), {"source": one, "target": two}) for index, (one, two) in enumerate(texts)]


def test_the_nearest_training_example_answers() -> None:
    train = pairs(("the cat sleeps", "el gato duerme"), ("the dog runs", "el perro corre"), ("it rains", "llueve"))
    asked = ["it rains", "the dog sleeps not but runs", "the black cat sleeps", ""] * 100
    answers = nearest(Seq2seq(), train, pairs(*((text, "") for text in asked)))
    expected = ["llueve", "el perro corre", "el gato duerme", "el gato duerme"]  # of none that is similar, the first
    assert [each.value for each in answers] == expected * 100
    assert answers[0].probability == pytest.approx(1)
    assert 0 < answers[1].probability < 1
    assert answers[3].probability == 0


def test_the_text_itself_is_cut_at_the_median_length_between_words() -> None:
    train = pairs(("a", "four"), ("b", "words"), ("c", "and more"))  # a median of 5 characters
    texts = ["one two three", "a bc", "12345 6", "123456", "一二三四五六七"]
    answers = lead(Seq2seq(), train, pairs(*((text, "") for text in texts)))
    assert [each.value for each in answers] == ["one", "a bc", "12345", "12345", "一二三四五"]
