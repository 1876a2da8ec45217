"""Texts with people and places, as entities and as relations: two sets that one model learns from."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

PEOPLE, PLACES = ("Ada", "Bo", "Cy", "Di"), ("Rome", "Kent", "Oslo")
SENTENCES = ("{person} is in {place}", "{person} left {place}", "in {place} {person} met us", "{person} saw {place}")
LIVES = "Lives-In(e1,e2)"


def sentences(number: int, seed: int) -> list[tuple[str, str, str]]:
    """Return sentences with their person and place, none twice."""
    generator, found = random.Random(seed), {}
    while len(found) < number:
        person, place = generator.choice(PEOPLE), generator.choice(PLACES)
        end = "".join(generator.choices("abcdefgh", k=3))
        found[f"{generator.choice(SENTENCES).format(person=person, place=place)} {end}"] = (person, place)
    return [(text, *who) for text, who in found.items()]


def write_sets(directory: Path, number: int = 90) -> dict[str, Any]:
    """Write two files; return the settings of a fine-tuning of relations with entities beside."""
    directory.mkdir(parents=True, exist_ok=True)
    relations, entities = [], []
    for text, person, place in sentences(number, 0):
        head, tail = text.index(person), text.index(place)
        relation = {"text": text, "head": [head, head + len(person)], "tail": [tail, tail + len(place)]}
        relations.append(relation | {"label": LIVES if " is in " in text or text.startswith("in ") else "Other"})
    for text, person, place in sentences(number, 1):
        tags = ["B-person" if each == person else "B-place" if each == place else "O" for each in text.split()]
        entities.append({"words": text.split(), "tags": tags})
    for name, rows in (("relations", relations), ("entities", entities)):
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "head": "relation_extraction",
        "data": {"kind": "jsonl", "path": str(directory / "relations.jsonl")},
        "beside": {
            "entities": {
                "head": "token_classification",
                "data": {"kind": "jsonl", "path": str(directory / "entities.jsonl")},
                "weight": 0.5,
            }
        },
    }
