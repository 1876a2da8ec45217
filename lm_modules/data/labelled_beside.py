"""Several labelled sets that one model learns from: none of them may show a text that another one holds out.

    examples/                    the set of `finetuning.head`
      beside/entities/           a set that is learned beside it, an ordinary labelled directory

A text is told by its letters, whatever spaces are between them: one set may have it as words, another as a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_modules.data.deduplication.exact import Exact
from lm_modules.data.documents import SPLITS, Example
from lm_modules.heads import Head

ORDER = {split: place for place, split in enumerate(SPLITS)}

Place = tuple[str, str, str]
"""The split, the name of the set, and the id of the example."""

Held = dict[bytes, Place]
"""Of each text where it is held out the most."""


def keys_of(head: Head, example: Example) -> list[bytes]:
    """Return for each text of an example what all examples with it share, whichever head reads them."""
    return [Exact().key("".join(text.split())) for text in head.texts(example.fields)]


def held(name: str, head: Head, examples: Sequence[Example]) -> Held:
    """Return where a set has its texts."""
    found: Held = {}
    for each in examples:
        split = str(each.split)
        for key in keys_of(head, each):
            if key not in found or ORDER[split] > ORDER[found[key][0]]:
                found[key] = split, name, each.id
    return found


def latest(several: Sequence[Held]) -> Held:
    """Return of each text where it is held out the most, in any of the sets."""
    found: Held = {}
    for each in several:
        for key, place in each.items():
            if key not in found or ORDER[place[0]] > ORDER[found[key][0]]:
                found[key] = place
    return found


def place_of(head: Head, example: Example, known: Held) -> Place | None:
    """Return where texts of an example are known to be held out the most; None where none is known."""
    places = [known[key] for key in keys_of(head, example) if key in known]
    return max(places, key=lambda each: ORDER[each[0]]) if places else None


def leaks(name: str, head: Head, examples: Sequence[Example], sets: Mapping[str, Held]) -> list[tuple[str, str] | None]:
    """Return for each example why it must go, and the id of the one that it is a copy of.

    Such a text another set holds out, and this one would show it before.
    """
    others = latest([each for other, each in sets.items() if other != name])
    found: list[tuple[str, str] | None] = []
    for each in examples:
        split, other, id = place_of(head, each, others) or (SPLITS[0], "", "")
        is_shown = ORDER[str(each.split)] < ORDER[split]
        found.append((f"copy of an example in {split} of {other}", id) if is_shown else None)
    return found
