"""Docstrings labelled with the chapter of the library reference that describes their module, and modules held out.

Docstrings of one module resemble each other, so a split by rows lets a classifier recognise the module instead of the
topic. Here whole modules are held out, class by class; pretraining must leave out the same ones, so both ask this file.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache

from lm_modules.data.deduplication.exact import Exact
from lm_modules.data.python_chapters import chapter_of
from lm_modules.data.python_library import modules

FEWEST_WORDS = 5
FEWEST_EXAMPLES, MOST_EXAMPLES = 160, 350
FEWEST_TEST_EXAMPLES = 8
TEST_FRACTION, VALIDATION_FRACTION = 0.2, 0.1
NO_VALIDATION_ERROR = 0.1
NUM_DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring and the chapter of its module; `group` is the module that is never torn apart."""

    id: str
    text: str
    chapter: str
    group: str


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Which modules belong to "validation" and "test" (the rest is for training), and the classes that cannot be parted."""

    split_of: dict[str, str]
    not_separable: tuple[str, ...]


@cache
def balanced_docstrings() -> tuple[tuple[Docstring, ...], dict[str, int]]:
    """Return the docstrings of every chapter that has enough of them, at most `MOST_EXAMPLES` each, and what was dropped.

    Which ones are kept is decided by a digest of the text, so that every module of a chapter is thinned alike.
    """
    found, dropped, seen = defaultdict(list), Counter[str](), set()
    for module in modules():
        chapter = chapter_of(module.name)
        for name, text in module.docstrings:
            if chapter is None:
                dropped["module without a chapter"] += 1
            elif len(text.split()) < FEWEST_WORDS:
                dropped[f"fewer than {FEWEST_WORDS} words"] += 1
            elif (key := Exact().key(text)) in seen:
                dropped["copy"] += 1
            else:
                seen.add(key)
                found[chapter].append(Docstring(name, text, chapter, module.group))
    kept: list[Docstring] = []
    for docstrings in found.values():
        if len(docstrings) < FEWEST_EXAMPLES:
            dropped[f"class with fewer than {FEWEST_EXAMPLES}"] += len(docstrings)
            continue
        chosen = sorted(docstrings, key=lambda each: hashlib.sha256(each.text.encode()).digest())[:MOST_EXAMPLES]
        dropped[f"class with more than {MOST_EXAMPLES}"] += len(docstrings) - len(chosen)
        kept += chosen
    return tuple(sorted(kept, key=lambda each: each.id)), dict(dropped)


@cache
def held_out(seed: int) -> HeldOut:
    """Choose whole modules for validation and test, near to their fractions of every class, the same for equal seeds.

    A class whose examples cannot be parted so that other modules give `FEWEST_TEST_EXAMPLES` for the test and at least
    half of the examples stay for training (one that is a single module) is named in `not_separable`.
    """
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for docstring in balanced_docstrings()[0]:
        sizes[docstring.chapter][docstring.group] += 1
    split_of: dict[str, str] = {}
    not_separable = []
    for chapter, size_of in sorted(sizes.items()):
        chosen = choose_groups(dict(size_of), random.Random(f"{seed} {chapter}"))
        if chosen is None:
            not_separable.append(chapter)
        else:
            split_of |= chosen
    return HeldOut(split_of, tuple(not_separable))


def choose_groups(size_of: dict[str, int], chance: random.Random) -> dict[str, str] | None:
    """Return "test" or "validation" for some of the groups of one class, or None if it cannot be parted.

    Of many random orders the one is kept whose first groups come nearest to the test and then the validation fraction.
    """
    total, names = sum(size_of.values()), sorted(size_of)
    best, least_error = None, float("inf")
    for _ in range(NUM_DRAWS):
        chance.shuffle(names)
        test = _until(names, size_of, TEST_FRACTION * total) or names[:1]
        validation = _until(names[len(test) :], size_of, VALIDATION_FRACTION * total)
        num_test, num_validation = (sum(size_of[name] for name in part) for part in (test, validation))
        if num_test < FEWEST_TEST_EXAMPLES or num_test + num_validation > total / 2:
            continue
        error = abs(num_test / total - TEST_FRACTION) + abs(num_validation / total - VALIDATION_FRACTION)
        error += 0 if validation else NO_VALIDATION_ERROR
        if error < least_error:
            best = dict.fromkeys(test, "test") | dict.fromkeys(validation, "validation")
            least_error = error
    return best


def _until(names: list[str], size_of: dict[str, int], wanted: float) -> list[str]:
    """Return the first names, as many as bring the sum nearest to `wanted`."""
    taken, found = [], 0
    for name in names:
        if abs(found + size_of[name] - wanted) > abs(found - wanted):
            break
        taken.append(name)
        found += size_of[name]
    return taken
