"""What a model must be compared with before it means anything: no learning at all, counting words, looking up."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lm_modules.data.documents import Example
from lm_modules.heads import Head, Prediction

WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Letters of scripts that set no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""

TEXTS_AT_ONCE = 256
"""Texts that are compared with all others in one product."""


def majority(head: Head, train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Answer every example with the most frequent answer of the training split (of several, the first by name)."""
    counts = Counter(json.dumps(head.reference(each.fields)) for each in train)
    answer = min(counts, key=lambda each: (-counts[each], each))
    return [Prediction(json.loads(answer), counts[answer] / len(train)) for _ in test]


def mean(head: Head, train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Answer every example with the mean of the numbers of the training split."""
    numbers = [head.reference(each.fields) for each in train]
    return [Prediction(sum(numbers) / len(numbers), None) for _ in test]


def tfidf(head: Head, train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Answer by logistic regression over TF-IDF of words and pairs of words; fitted on the training split only.

    Where an example may have several labels, there is a regression for each of them.

    Where words do not stand apart, or none is in two texts, runs of one to three characters take their place.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MultiLabelBinarizer

    texts = [head.text(each.fields) for each in train]
    asked = [head.text(each.fields) for each in test]
    references = [head.reference(each.fields) for each in train]
    counted = _counted(texts, fewest_texts=2)
    regression = LogisticRegression(C=10.0, max_iter=1000)
    if any(isinstance(each, list) for each in references):
        several = MultiLabelBinarizer()
        classifier = make_pipeline(counted, OneVsRestClassifier(regression))
        classifier.fit(texts, several.fit_transform(references))
        probabilities_NK = classifier.predict_proba(asked)
        certain_N = np.maximum(probabilities_NK, 1 - probabilities_NK).prod(axis=1)
        found = several.inverse_transform(probabilities_NK > 0.5)
        return [Prediction(list(labels), float(certain)) for labels, certain in zip(found, certain_N, strict=True)]
    classifier = make_pipeline(counted, regression)
    classifier.fit(texts, references)
    probabilities_NK = classifier.predict_proba(asked)
    best_N = probabilities_NK.argmax(axis=1)
    labels = classifier.classes_
    return [Prediction(str(labels[best]), float(row[best])) for best, row in zip(best_N, probabilities_NK, strict=True)]


def frequent_tag(head: Head, train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Tag every word as it is tagged most often in the training split; words that are not there as most words are.

    The probability is that of all tags of an example, if those of each word came up as often as in training.
    """
    counts: dict[str, Counter[str]] = {}
    whole: Counter[str] = Counter()
    for each in train:
        for word, tag in zip(each.fields["words"], each.fields["tags"], strict=True):
            counts.setdefault(word, Counter())[tag] += 1
            whole[tag] += 1
    answers = []
    for each in test:
        known = [counts.get(word, whole) for word in each.fields["words"]]
        tags = [min(those, key=lambda tag: (-those[tag], tag)) for those in known]
        shares = [those[tag] / those.total() for tag, those in zip(tags, known, strict=True)]
        answers.append(Prediction(tags, math.prod(shares)))
    return answers


def nearest(head: Head, train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Answer with what the training split answers to the most similar text, by the cosine of TF-IDF vectors.

    What a model that writes must beat to have learned more than to look up: on data full of near repetitions this is
    hard to beat. The cosine stands for the probability; of equally similar texts the first in the split answers.
    """
    texts = [head.text(each.fields) for each in train]
    counted = _counted(texts, fewest_texts=1)
    known_NV, asked_MV = counted.fit_transform(texts), counted.transform([head.text(each.fields) for each in test])
    answers = []
    for start in range(0, len(test), TEXTS_AT_ONCE):
        cosines_MN = (asked_MV[start : start + TEXTS_AT_ONCE] @ known_NV.T).toarray()
        answers += [
            Prediction(head.reference(train[place].fields), min(float(row[place]), 1.0))
            for row, place in zip(cosines_MN, cosines_MN.argmax(axis=1), strict=True)
        ]
    return answers


def lead(head: Head, train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Answer with the beginning of the text itself, about as long as the median training answer, cut between words.

    For summaries of texts that say the main thing first this is hard to beat (Nenkova 2005); for translations it is
    what names, figures and marks are worth that stay as they are.
    """
    length = int(np.median([len(head.reference(each.fields)) for each in train]))
    return [Prediction(_beginning(head.text(each.fields), length), 1.0) for each in test]


def _beginning(text: str, length: int) -> str:
    """Return at most so many characters, whole words if white space stands between any."""
    if len(text) <= length or text[length].isspace():
        return text[:length].strip()
    words = text[:length].rsplit(maxsplit=1)
    return words[0].strip() if words else ""


def _counted(texts: Sequence[str], fewest_texts: int) -> Any:
    """Return how words in so many texts are counted: alone and in pairs, or as runs of characters where none recurs."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=fewest_texts)
    characters = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    return words if _words_recur(texts, words.build_tokenizer()) else characters


def _words_recur(texts: Sequence[str], tokenize: Callable[[str], list[str]]) -> bool:
    """Return whether spaces part the words of most texts, and some word is in two texts."""
    letters = "".join(texts)
    if 2 * len(WITHOUT_SPACES.findall(letters)) > sum(map(str.isalpha, letters)):
        return False
    counts = Counter(word for text in texts for word in set(tokenize(text.lower())))
    return max(counts.values(), default=0) >= 2
