"""Clusters over files: the same as comparing all pairs, in any division, with little memory."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from lm_modules.data import clusters
from lm_modules.data.cluster_report import cluster_report
from lm_modules.data.clusters import find_clusters
from lm_modules.data.components import Components
from lm_modules.data.deduplication.exact import Exact
from lm_modules.data.deduplication.minhash import Minhash
from lm_modules.data.deduplication.simhash import Simhash


def families(num: int, numbers: int, dtype: type, seed: int = 0) -> np.ndarray:
    """Sketches of which many agree in some numbers: members of families, each with some numbers of its own."""
    chance = np.random.default_rng(seed)
    highest = np.iinfo(dtype).max
    parents = chance.integers(0, highest, (num // 5, numbers), dtype, endpoint=True)
    sketches = parents[chance.integers(0, len(parents), num)]
    own = chance.random(sketches.shape) < chance.choice([0.0, 0.1, 0.4, 0.7], (num, 1))
    return np.where(own, chance.integers(0, highest, sketches.shape, dtype, endpoint=True), sketches)


def near_bits(num: int) -> np.ndarray:
    """Numbers of 64 bits, of which many differ from another in up to six bits."""
    chance = np.random.default_rng(1)
    parents = chance.integers(0, 2**64, num // 4, np.uint64)
    flips = [sum(1 << int(bit) for bit in chance.choice(64, chance.integers(0, 7), replace=False)) for _ in range(num)]
    return (parents[chance.integers(0, len(parents), num)] ^ np.array(flips, np.uint64))[:, None]


def compared_one_by_one(rule, sketches: np.ndarray) -> list[int]:
    """The keepers by the plain definition: every pair that shares a key and is alike belongs together."""
    keys = rule.band_keys(sketches)
    parent = list(range(len(sketches)))

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    for one, other in combinations(range(len(sketches)), 2):
        if (keys[one] == keys[other]).any() and rule.alike(sketches[[one]], sketches[[other]])[0]:
            low, high = sorted((root(one), root(other)))
            parent[high] = low
    return [root(number) for number in range(len(sketches))]


def filed(folder: Path, sketches: np.ndarray, cuts: list[int]) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number:04}.npy" for number in range(len(cuts) + 1)]
    for path, part in zip(paths, np.split(sketches, cuts), strict=True):
        np.save(path, part)
    return paths


RULES = [
    (Minhash(), families(400, 128, np.uint32)),
    (Minhash(bands=14, rows=8, min_similarity=None), families(400, 112, np.uint32)),
    (Simhash(), near_bits(400)),
    (Exact(), families(400, 2, np.uint64)),
]


@pytest.mark.parametrize(("rule", "sketches"), RULES, ids=lambda each: getattr(each, "kind", ""))
def test_clusters_are_those_of_all_pairs_however_the_corpus_is_divided(rule, sketches, tmp_path) -> None:
    wanted = compared_one_by_one(rule, sketches)
    assert len(set(wanted)) < 0.8 * len(wanted)
    for number, (cuts, keys_at_once) in enumerate([([], 10**6), ([1, 50, 50, 399], 10**6), ([200], 37)]):
        paths = filed(tmp_path / str(number), sketches, cuts)
        found = find_clusters(rule, paths, tmp_path, keys_at_once=keys_at_once)
        assert [len(each) for each in found] == [len(each) for each in np.split(sketches, cuts)]
        assert np.concatenate(found).tolist() == wanted
    assert [each.name for each in tmp_path.iterdir() if each.suffix] == []


def test_documents_that_take_no_part_neither_keep_nor_go(tmp_path) -> None:
    rule, sketches = RULES[0]
    takes_part = np.random.default_rng(2).random(len(sketches)) < 0.7
    chosen = np.flatnonzero(takes_part)
    wanted = np.full(len(sketches), -1)
    wanted[chosen] = chosen[compared_one_by_one(rule, sketches[chosen])]
    paths = filed(tmp_path / "parts", sketches, [150, 151])
    found = find_clusters(rule, paths, tmp_path, np.split(takes_part, [150, 151]))
    assert np.concatenate(found).tolist() == wanted.tolist()


def test_nothing_is_found_in_nothing(tmp_path) -> None:
    assert find_clusters(Exact(), [], tmp_path) == []
    paths = filed(tmp_path / "parts", np.empty((0, 2), np.uint64), [0])
    assert [each.tolist() for each in find_clusters(Exact(), paths, tmp_path)] == [[], []]


@pytest.mark.parametrize("min_similarity", [0.5, None])
def test_a_key_that_very_many_share_costs_no_square(min_similarity, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 6,000 documents share one band and nothing else; 3,000 are equal.
    sketches = np.random.default_rng(3).integers(0, 2**32, (9_000, 128), np.uint32)
    sketches[:6_000, :4] = 1
    sketches[6_000:] = 2
    compared = []
    rule = Minhash(min_similarity=min_similarity)
    alike = Minhash.alike
    monkeypatch.setattr(Minhash, "alike", lambda *pair: compared.append(len(pair[1])) or alike(*pair))
    keeper = np.concatenate(find_clusters(rule, filed(tmp_path / "parts", sketches, [4_000]), tmp_path))
    assert sum(compared) < 9_000 * (clusters.NEIGHBOURS + 3)
    assert (keeper[6_000:] == 6_000).all()
    assert (keeper[:6_000] == (np.arange(6_000) if min_similarity else 0)).all()


def test_components_of_chains_and_stars_are_named_by_their_smallest() -> None:
    chance = np.random.default_rng(4)
    chain = chance.permutation(5_000)
    components = Components(6_000)
    components.join(chain[:-1], chain[1:])
    components.join(np.full(500, 5_999), np.arange(5_400, 5_900))
    roots = components.all_roots()
    assert (roots[:5_000] == 0).all()
    assert (roots[5_400:5_900] == 5_400).all()
    assert roots[5_999] == 5_400
    assert (roots[5_000:5_400] == np.arange(5_000, 5_400)).all()


def test_the_report_counts_clusters_and_names_the_largest() -> None:
    #                 0  1  2   3  4  5    6  7  8  9
    keepers = [np.array([0, 1, 0, -1, 1]), np.array([0, 6, 7, 6, 0])]
    source_of = [np.array([0, 0, 0, 1, 1]), np.array([1, 1, 0, 0, 1])]
    report = cluster_report(keepers, "document {}".format, ["books", "pages"], source_of)
    assert (report["clusters"], report["copies"]) == (3, 5)
    assert report["sizes"] == {"2": 2, "3 to 4": 1}
    assert report["largest"][0] == {
        "size": 4,
        "kept": "document 0",
        "copies": ["document 2", "document 5", "document 9"],
    }
    assert [each["kept"] for each in report["largest"]] == ["document 0", "document 1", "document 6"]
    assert report["copies_by_sources"] == [
        {"kept": "books", "copy": "pages", "copies": 3},
        {"kept": "books", "copy": "books", "copies": 1},
        {"kept": "pages", "copy": "books", "copies": 1},
    ]
    assert cluster_report([], str, [], [])["clusters"] == 0
