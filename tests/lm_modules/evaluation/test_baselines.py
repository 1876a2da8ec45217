"""The baselines answer whatever the language and however few the examples."""

from __future__ import annotations

import pytest

from lm_modules.data.documents import Example
from lm_modules.evaluation.baselines import tfidf
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
