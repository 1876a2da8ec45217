"""What a model must be compared with before it means anything: no learning at all, and counting words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from lm_modules.data.documents import Example
from lm_modules.heads import Prediction

WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Letters of scripts that set no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""


def majority(train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Answer every example with the most frequent label of the training split (of several, the first by name)."""
    counts = Counter(each.label for each in train)
    label = min(counts, key=lambda each: (-counts[each], each))
    return [Prediction(label, counts[label] / len(train)) for _ in test]


def tfidf(train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Answer by logistic regression over TF-IDF of words and pairs of words; fitted on the training split only.

    Where words do not stand apart, or none is in two texts, runs of one to three characters take their place.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = [each.text for each in train]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    characters = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    counted = words if _words_recur(texts, words.build_tokenizer()) else characters
    classifier = make_pipeline(counted, LogisticRegression(C=10.0, max_iter=1000))
    classifier.fit(texts, [each.label for each in train])
    probabilities_NK = classifier.predict_proba([each.text for each in test])
    best_N = probabilities_NK.argmax(axis=1)
    labels = classifier.classes_
    return [Prediction(str(labels[best]), float(row[best])) for best, row in zip(best_N, probabilities_NK, strict=True)]


def _words_recur(texts: Sequence[str], tokenize: Callable[[str], list[str]]) -> bool:
    """Return whether spaces part the words of most texts, and some word is in two texts."""
    letters = "".join(texts)
    if 2 * len(WITHOUT_SPACES.findall(letters)) > sum(map(str.isalpha, letters)):
        return False
    counts = Counter(word for text in texts for word in set(tokenize(text.lower())))
    return max(counts.values(), default=0) >= 2
