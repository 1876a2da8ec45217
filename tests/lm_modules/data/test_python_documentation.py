"""The standard library of the interpreter that runs the tests: builds differ, so ranges are asserted, not counts."""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest

from configs.data_preparation import DataPreparationConfig
from lm_modules.data import python_labels, python_library
from lm_modules.data.corpus import read_corpus
from lm_modules.data.deduplication.exact import Exact
from lm_modules.data.labelled.python_topics import PythonTopics
from lm_modules.data.labelled_data import collect
from lm_modules.data.preparation import prepare
from lm_modules.data.python_chapters import CHAPTERS, chapter_of, group_of
from lm_modules.data.python_labels import choose_groups
from lm_modules.data.sources.python_documentation import PythonDocumentation
from lm_modules.heads.sequence_classification import SequenceClassification


@pytest.fixture(scope="module")
def documents() -> list:
    return list(PythonDocumentation().documents())


def test_all_three_parts_are_there_and_nothing_was_imported(documents) -> None:
    sizes = Counter(each.source.partition("/")[2] for each in documents)
    assert sizes["topics"] > 70
    assert sizes["docstrings"] > 5000
    assert sizes["source"] > 380
    assert "turtle" not in sys.modules
    assert {each.source for each in documents} == set(PythonDocumentation().names())
    ids = Counter(each.id for each in documents)
    assert max(ids.values()) == 1


def test_tests_and_tables_are_left_out(documents) -> None:
    modules = {each.id for each in documents if each.id.startswith("source:")}
    assert "source:unittest.case" in modules
    assert not any(".test." in each or "idle_test" in each or "_sysconfigdata" in each for each in modules)
    assert not any(each.startswith(("source:encodings", "source:test", "source:pydoc_data")) for each in modules)


def test_held_out_modules_are_those_of_the_labelled_test(documents) -> None:
    split_of_module = {each.group: each.split for each in documents if not each.id.startswith("topic:")}
    for example in PythonTopics().examples():
        assert split_of_module[example.group] == example.split
    assert set(split_of_module.values()) == {"train", "validation", "test"}
    other = PythonTopics(held_out_seed=1).examples()
    assert any(split_of_module[each.group] != each.split for each in other)


def test_no_held_out_docstring_is_a_training_docstring(documents) -> None:
    key = Exact(letters_only=True).key
    train = {key(each.text) for each in documents if each.split == "train" and "/docstrings" in each.source}
    held_out = [each for each in PythonTopics().examples() if each.split != "train"]
    assert not any(key(each.fields["text"]) in train for each in held_out)


def test_without_a_seed_no_module_is_held_out() -> None:
    source = PythonDocumentation(held_out_seed=None, modules=("json", "csv"), parts=("source",))
    found = list(source.documents())
    assert {each.group for each in found} >= {"json", "json.decoder", "csv"}
    assert {each.split for each in found} == {None}


@pytest.mark.parametrize("num_held_out", [0, 1])
def test_a_few_modules_fill_every_split_whether_or_not_one_is_held_out(num_held_out: int, tmp_path) -> None:
    held_out = [name for name, split in python_labels.held_out(0).split_of.items() if split == "test"]
    others = [name for name in ("json", "csv", "string", "bisect") if name not in python_labels.held_out(0).split_of]
    source = {
        "kind": "python_documentation",
        "modules": [*held_out[:num_held_out], *others],
        "parts": ["docstrings", "source"],
    }
    config = DataPreparationConfig.model_validate({"sources": [source], "filters": []})
    report = prepare(config, tmp_path, seed=0)
    assert all(sizes["documents"] for sizes in report["splits"].values())
    groups = [{document.group for document in read_corpus(tmp_path, split)} for split in report["splits"]]
    assert len(set.union(*groups)) == sum(map(len, groups))


def test_classes_are_balanced_and_parted_by_module(tmp_path) -> None:
    report = collect(PythonTopics(), SequenceClassification(), tmp_path / "group", seed=0)
    assert 12 <= report["num_labels"] <= 18
    assert report["split_by"] == "group"
    for sizes in report["labels"].values():
        assert sum(sizes.values()) <= python_labels.MOST_EXAMPLES
        assert sizes["test"] >= python_labels.FEWEST_TEST_EXAMPLES
        assert sizes["train"] >= sum(sizes.values()) / 2
    assert 0.15 <= report["splits"]["test"] / report["num_examples"] <= 0.25
    assert 0.05 <= report["splits"]["validation"] / report["num_examples"] <= 0.15
    assert set(report["shared_groups"].values()) == {0}
    at_random = collect(PythonTopics(split_by="random"), SequenceClassification(), tmp_path / "random", seed=0)
    assert at_random["num_examples"] >= report["num_examples"]
    assert report["left_out"]["fewer than 5 words"] > 300


def test_fractions_that_the_choice_of_modules_overrides_are_refused() -> None:
    with pytest.raises(ValueError, match=r"test_fraction 0.3 has no effect, because whole modules.*leave it out"):
        PythonTopics(test_fraction=0.3)
    at_random = PythonTopics(split_by="random", test_fraction=0.3, held_out_seed=5)
    assert at_random.split_otherwise() == PythonTopics(held_out_seed=5)
    assert PythonTopics(held_out_seed=5).split_otherwise() == PythonTopics(split_by="random", held_out_seed=5)


def test_the_choice_is_the_same_for_equal_seeds() -> None:
    chosen = python_labels.held_out(3)
    python_labels.held_out.cache_clear()
    assert python_labels.held_out(3) == chosen


def test_a_class_of_one_module_cannot_be_parted() -> None:
    assert choose_groups({"only": 200}, random.Random(0)) is None
    assert choose_groups({"most": 197, "rest": 3}, random.Random(0)) is None
    assert choose_groups({"more": 110, "fewer": 90}, random.Random(0)) == {"fewer": "test"}


def test_chosen_groups_come_near_to_the_fractions() -> None:
    sizes = {f"module {number}": 5 + number for number in range(20)}
    chosen = choose_groups(sizes, random.Random(0))
    assert chosen is not None
    share = Counter(chosen.values())
    for split, fraction in python_labels.FRACTIONS.items():
        share = sum(sizes[name] for name in chosen if chosen[name] == split) / sum(sizes.values())
        assert share == pytest.approx(fraction, abs=0.02)


def test_no_module_has_two_chapters() -> None:
    listed = [module for modules in CHAPTERS.values() for module in modules.split()]
    assert len(listed) == len(set(listed))
    assert chapter_of("_pydecimal") == chapter_of("decimal") == "numbers and mathematics"
    assert group_of("ntpath") == group_of("posixpath")
    assert chapter_of("concurrent.futures.thread") == "concurrent execution"
    assert chapter_of("antigravity") is None


def test_few_docstrings_have_no_chapter() -> None:
    left_out = python_labels.balanced_docstrings()[1]
    # Newer versions add internal modules (the interactive shell of 3.13 is one), which the contents page does not list.
    assert left_out.get("module without a chapter", 0) < 400


def test_fingerprint_is_stable_and_files_have_names() -> None:
    assert python_library.fingerprint() == python_library.fingerprint()
    assert "json.decoder" in python_library.library_files()
    assert "json" in python_library.library_files()
