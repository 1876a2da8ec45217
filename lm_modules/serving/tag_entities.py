"""Which entities a row of tags names; copied into every registered model that finds entities.

    words   Rick             and              Morty            in   Rome
    BIO     B-creative-work  I-creative-work  I-creative-work  O    B-location
    BILOU   B-creative-work  I-creative-work  L-creative-work  O    U-location

`I` goes on, `L` (or `E`) ends, `U` (or `S`) stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_SAME = {"L": "E", "U": "S"}
"""BILOU's letters in those of IOBES, which mean the same."""
_LETTERS = {"bio": "BIO", "iobes": "BIESO", "bilou": "BILUO"}


class Entity(NamedTuple):
    """A type, the number of its first word, and that of the word behind its last."""

    type: str
    start: int
    end: int


def entities_in(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of tags in any scheme, as `conlleval` reads them: what is malformed is made the best of.

    An `I` with nothing of its type before it begins an entity, and one without an end ends where it stops. A tag
    without a letter of the schemes (`NOUN`) is an entity of one word.
    """
    found: list[Entity] = []
    goes_on = False
    for place, tag in enumerate(tags):
        if tag[0] not in "BIESLUO" or tag[1:2] not in ("", "-"):
            found.append(Entity(tag, place, place + 1))
            goes_on = False
            continue
        letter, type = _SAME.get(tag[0], tag[0]), tag[2:] or "_"
        if letter != "O":
            if goes_on and letter in "IE" and type == found[-1].type:
                found[-1] = found[-1]._replace(end=place + 1)
            else:
                found.append(Entity(type, place, place + 1))
        goes_on = letter in "BI"
    return found


def entities_by_the_rules(tags: Sequence[str], scheme: str) -> list[Entity]:
    """Return the well-formed entities alone, in the scheme `bio`, `iobes` or `bilou`; all else is none."""
    found, start, kind = [], None, ""
    for place, tag in enumerate([*tags, "O"]):
        if tag[0] not in _LETTERS[scheme]:
            letters = ", ".join(_LETTERS[scheme])
            raise ValueError(f"tag {tag!r} is none of {scheme}, whose tags begin with {letters}; choose another scheme")
        letter, type = _SAME.get(tag[0], tag[0]), tag[1:].strip("-") or "_"
        if start is not None and letter in "IE" and type == kind:
            if letter == "E":
                found.append(Entity(kind, start, place + 1))
                start = None
            continue
        if start is not None and scheme == "bio":
            found.append(Entity(kind, start, place))
        start, kind = (place, type) if letter == "B" else (None, "")
        if letter == "S":
            found.append(Entity(type, place, place + 1))
    return found
