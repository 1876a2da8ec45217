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
FRACTIONS = {"test": 0.2, "validation": 0.1}
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
    """Which modules belong to "validation" and "test" (the rest is for training), and the classes that have none."""

    split_of: dict[str, str]
    not_separable: tuple[str, ...]


@cache
def balanced_docstrings() -> tuple[tuple[Docstring, ...], dict[str, int]]:
    """Return at most `MOST_EXAMPLES` docstrings of every chapter that has enough, and how many were dropped and why.

    Which ones are kept is decided by a digest of the text, so that every module of a chapter is thinned alike.
    """
    groups_of: dict[bytes, set[str]] = defaultdict(set)
    for module in modules():
        for _, text in module.docstrings:
            groups_of[Exact(letters_only=True).key(text)].add(module.group)
    found, dropped, seen = defaultdict(list), Counter[str](), set()
    for module in modules():
        chapter = chapter_of(module.name)
        for name, text in module.docstrings:
            key = Exact(letters_only=True).key(text)
            if chapter is None:
                dropped["module without a chapter"] += 1
            elif len(text.split()) < FEWEST_WORDS:
                dropped[f"fewer than {FEWEST_WORDS} words"] += 1
            elif len(groups_of[key]) > 1:
                dropped["copy in another module"] += 1
            elif key in seen:
                dropped["copy in the same module"] += 1
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

    Of many random orders the one is kept whose first groups come nearest to both fractions; a class without validation
    counts as far off. Every other draw serves the validation first, or the test would take all of a small class.
    """
    total, names = sum(size_of.values()), sorted(size_of)
    best, least_error = None, float("inf")
    for draw in range(NUM_DRAWS):
        chance.shuffle(names)
        chosen: dict[str, str] = {}
        for split in FRACTIONS if draw % 2 else reversed(FRACTIONS):
            left = [name for name in names if name not in chosen]
            first = left[:1] if split == "test" else []
            chosen |= dict.fromkeys(_until(left, size_of, FRACTIONS[split] * total) or first, split)
        num = Counter({split: sum(size_of[name] for name in chosen if chosen[name] == split) for split in FRACTIONS})
        if num["test"] < FEWEST_TEST_EXAMPLES or num.total() > total / 2:
            continue
        error = sum(abs(num[split] / total - fraction) for split, fraction in FRACTIONS.items())
        error += 0 if num["validation"] else NO_VALIDATION_ERROR
        if error < least_error:
            best, least_error = chosen, error
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
