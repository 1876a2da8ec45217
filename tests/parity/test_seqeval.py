"""Entity F1 and tag accuracy as seqeval counts them, on random tags, well-formed and not."""

from __future__ import annotations

import random
import warnings

import pytest
import seqeval.metrics
from seqeval.scheme import BILOU, IOB2, IOBES

from lm_modules.evaluation.metrics.entity_f1 import EntityF1
from lm_modules.evaluation.metrics.tag_accuracy import TagAccuracy
from lm_modules.evaluation.scores import score, statistics
from lm_modules.serving.tag_entities import entities_by_the_rules, entities_in

SCHEMES = {"bio": ("BIO", IOB2), "iobes": ("BIESO", IOBES), "bilou": ("BILUO", BILOU)}
TYPES = ("x", "y", "two-words")
SETS = 1000


def tags_of(generator: random.Random, letters: str, length: int) -> list[str]:
    """Return tags in any order, types or none behind their letters; most are not well-formed."""
    found = []
    for _ in range(length):
        letter = generator.choice(letters + "O")
        typed = letter != "O" and generator.random() < 0.9
        found.append(f"{letter}-{generator.choice(TYPES)}" if typed else letter)
    return found


def well_formed(generator: random.Random, scheme: str) -> list[str]:
    """Return tags as an annotator writes them."""
    begin, inside, last, alone = {"bio": "BIIB", "iobes": "BIES", "bilou": "BILU"}[scheme]
    found: list[str] = []
    for _ in range(generator.randint(1, 5)):
        length, kind = generator.randint(1, 4), generator.choice(TYPES)
        letters = alone if length == 1 else begin + inside * (length - 2) + last
        found += [f"{letter}-{kind}" for letter in letters] + ["O"] * generator.randint(0, 2)
    return found


def sets_of(scheme: str, number: int):
    """Yield lists of (predicted tags, true tags); the two often have entities in common."""
    letters, _ = SCHEMES[scheme]
    for seed in range(number):
        generator = random.Random(seed)
        pairs = []
        for _ in range(generator.randint(1, 6)):
            if generator.random() < 0.5:
                true = well_formed(generator, scheme)
            else:
                true = tags_of(generator, letters, generator.randint(1, 12))
            found = [tag if generator.random() < 0.7 else tags_of(generator, letters, 1)[0] for tag in true]
            pairs.append((found, true))
        yield pairs


def theirs(pairs, **settings) -> float:
    found, true = ([pair[side] for pair in pairs] for side in (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets without any entity
        return float(seqeval.metrics.f1_score(true, found, **settings))


def ours(pairs, strict=None) -> float:
    return score(EntityF1(strict=strict), *zip(*pairs, strict=True), [])


@pytest.mark.parametrize("scheme", ["bio", "iobes"])
def test_f1_of_any_tags_is_that_of_seqeval(scheme):
    some = 0
    for pairs in sets_of(scheme, SETS):
        assert ours(pairs) == pytest.approx(theirs(pairs), abs=1e-12), pairs
        some += 0 < ours(pairs) < 1
    assert some > SETS / 2


def test_bilou_is_read_as_seqeval_reads_the_same_tags_in_the_letters_of_iobes():
    letters = str.maketrans("LU", "ES")
    for pairs in sets_of("bilou", SETS):
        translated = [[[tag[0].translate(letters) + tag[1:] for tag in tags] for tags in pair] for pair in pairs]
        assert ours(pairs) == pytest.approx(theirs(translated), abs=1e-12), pairs


@pytest.mark.parametrize("scheme", SCHEMES)
def test_strict_f1_is_that_of_seqeval(scheme):
    some = 0
    for pairs in sets_of(scheme, SETS):
        seen = theirs(pairs, mode="strict", scheme=SCHEMES[scheme][1])
        assert ours(pairs, scheme) == pytest.approx(seen, abs=1e-12), pairs
        some += 0 < seen < 1
    assert some > SETS / 4


def test_tag_accuracy_is_that_of_seqeval():
    for pairs in sets_of("bio", 200):
        found, true = ([pair[side] for pair in pairs] for side in (0, 1))
        assert score(TagAccuracy(), found, true, []) == pytest.approx(seqeval.metrics.accuracy_score(true, found))


def test_well_formed_tags_are_read_alike_in_both_ways():
    generator = random.Random(0)
    for scheme in SCHEMES:
        for _ in range(300):
            tags = well_formed(generator, scheme)
            assert entities_in(tags) == entities_by_the_rules(tags, scheme)


def test_tags_without_a_scheme_are_entities_of_a_word():
    assert ours([(["NOUN", "NOUN", "VERB"], ["NOUN", "VERB", "VERB"])]) == pytest.approx(2 / 3)


def test_a_tag_of_another_scheme_is_named():
    with pytest.raises(ValueError, match=r"'L-x' is none of bio"):
        statistics(EntityF1(strict="bio"), [["L-x"]], [["O"]], [])
