"""BLEU, chrF and ROUGE equal sacrebleu and rouge-score, over random texts and over all bootstrap replicates."""

from __future__ import annotations

import csv
import os
import random
from pathlib import Path

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from lm_modules.evaluation.confidence import interval
from lm_modules.evaluation.metrics.bleu import Bleu
from lm_modules.evaluation.metrics.chrf import Chrf
from lm_modules.evaluation.metrics.rouge_1 import Rouge1
from lm_modules.evaluation.metrics.rouge_2 import Rouge2
from lm_modules.evaluation.metrics.rouge_l import RougeL
from lm_modules.evaluation.scores import score, statistics

LATIN = ["a", "cat", "Cat", "sat", "on", "the", "mat,", "(the", "dog!)", "ran.", "3.5", "it's", "e-mail"]
WORDS = [*LATIN, "años", "señor", "el", "perro", "你好", "世界"]
ODD = ["", " ", ".", "one", "one .", "\N{GRINNING FACE}", "a\nb", "word " * 80]


def random_pairs(seed: int, num: int = 60) -> tuple[list[str], list[str]]:
    """Return answers that have more or fewer words of their references, some none, some odd ones."""
    generator = random.Random(seed)
    references = [" ".join(generator.choices(WORDS, k=generator.randint(1, 20))) for _ in range(num)]
    answers = [
        " ".join(word if generator.random() < 0.7 else generator.choice(WORDS) for word in each.split())
        for each in references
    ]
    cut = [each[: generator.randint(0, 2 * len(each))] for each in answers]
    return [*cut, *ODD, *generator.choices(WORDS, k=len(ODD))], [*references, *generator.choices(WORDS, k=8), *ODD]


def real_pairs() -> tuple[list[str], list[str]]:
    """Return summaries of a published set beside those of their neighbours, if the set is there."""
    folder = Path(os.environ.get("ROOTSTOCK_TEST_DATA", "no folder is named")) / "mts-dialog"
    if not folder.is_dir():
        pytest.skip("ROOTSTOCK_TEST_DATA names no folder with mts-dialog")
    with (folder / "valid.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [each["dialogue"][:300] for each in rows], [each["section_text"] for each in rows]


PAIRS = {"random": lambda: random_pairs(0), "others": lambda: random_pairs(1), "few": lambda: random_pairs(2, 1)}
PAIRS |= {"wrong": lambda: (["x y z", "q"], ["a b c", "d"]), "short": lambda: (["a b", "c"], ["a b", "c d e"])}
PAIRS |= {"real": real_pairs}


@pytest.fixture(params=PAIRS)
def pairs(request: pytest.FixtureRequest) -> tuple[list[str], list[str]]:
    return PAIRS[request.param]()


BLEUS = [{}, {"lowercase": True}, {"tokenize": "intl"}, {"tokenize": "char"}, {"tokenize": "zh"}]
CHRFS = [{}, {"lowercase": True}, {"word_order": 2}]


@pytest.mark.parametrize("settings", BLEUS, ids=str)
def test_bleu_is_that_of_sacrebleu(pairs, settings):
    expected = BLEU(**settings).corpus_score(pairs[0], [pairs[1]]).score
    assert score(Bleu(**settings), *pairs, []) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("settings", CHRFS, ids=str)
def test_chrf_is_that_of_sacrebleu(pairs, settings):
    expected = CHRF(**settings).corpus_score(pairs[0], [pairs[1]]).score
    assert score(Chrf(**settings), *pairs, []) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("metric", "name"), [(Rouge1, "rouge1"), (Rouge2, "rouge2"), (RougeL, "rougeL")])
@pytest.mark.parametrize("words", ["english", "english_stems"])
def test_rouge_is_the_mean_of_rouge_score(pairs, metric, name, words):
    scorer = RougeScorer([name], use_stemmer=words == "english_stems")
    found = [scorer.score(reference, answer)[name].fmeasure for answer, reference in zip(*pairs, strict=True)]
    assert score(metric(words=words), *pairs, []) == pytest.approx(np.mean(found), rel=1e-12)


@pytest.mark.parametrize("kind", [Bleu, Chrf])
def test_every_replicate_is_scored_as_its_own_corpus(kind):
    answers, references = random_pairs(3)
    rows = statistics(kind(), answers, references, [])
    drawn = np.random.default_rng(0).integers(len(rows), size=(20, len(rows)))
    counts = np.array([np.bincount(each, minlength=len(rows)) for each in drawn])
    stock = BLEU() if kind is Bleu else CHRF()
    expected = [
        stock.corpus_score([answers[place] for place in each], [[references[place] for place in each]]).score
        for each in drawn
    ]
    np.testing.assert_allclose(kind().value(counts @ rows), expected, rtol=1e-9)


def test_the_interval_is_near_that_of_sacrebleu():
    answers, references = random_pairs(4, 200)
    ours = interval(Chrf(), statistics(Chrf(), answers, references, []), confidence=0.95, replicates=1000, seed=0)
    theirs = CHRF().corpus_score(answers, [references], n_bootstrap=1000)
    assert ours.value == pytest.approx(theirs.score)
    assert (ours.high - ours.low) / 2 == pytest.approx(theirs._ci, rel=0.15)  # both by chance


def test_words_of_any_script_are_compared_where_english_ones_see_nothing():
    for one, other in (("我们在吃饭。", "我们在喝水"), ("हम खाना खाते हैं", "हम पानी पीते हैं"), ("мы едим", "мы пьём")):
        assert score(RougeL(), [one], [other], []) == 0
        assert 0 < score(RougeL(words="any"), [one], [other], []) < 1
        assert score(RougeL(words="any"), [one], [one], []) == 1
    english = "The cat's e-mail, sent at 3.5 o'clock"
    assert score(RougeL(words="any"), [english], ["the cat e mail"], []) == score(
        RougeL(), [english], ["the cat e mail"], []
    )
