"""What a model must be compared with before it means anything: no learning at all, and counting words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lm_modules.data.documents import Example
from lm_modules.heads import Prediction


def majority(train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Answer every example with the most frequent label of the training split (of several, the first by name)."""
    counts = Counter(each.label for each in train)
    label = min(counts, key=lambda each: (-counts[each], each))
    return [Prediction(label, counts[label] / len(train)) for _ in test]


def tfidf(train: Sequence[Example], test: Sequence[Example]) -> list[Prediction]:
    """Answer by logistic regression over TF-IDF of words and pairs of words; fitted on the training split only."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    classifier = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2), LogisticRegression(C=10.0, max_iter=1000)
    )
    classifier.fit([each.text for each in train], [each.label for each in train])
    probabilities_NK = classifier.predict_proba([each.text for each in test])
    best_N = probabilities_NK.argmax(axis=1)
    labels = classifier.classes_
    return [Prediction(str(labels[best]), float(row[best])) for best, row in zip(best_N, probabilities_NK, strict=True)]
