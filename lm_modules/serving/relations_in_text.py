"""Relations in a raw text: one model finds the entities, another tells how any two of them belong together.

Copied into every registered model of relations, which may have learned to find entities beside.
"""

from __future__ import annotations

from itertools import combinations, permutations
from pathlib import Path
from typing import Any

from .entities_service import EntitiesService
from .marked_pairs import Pair
from .relation_service import RelationService

NO_RELATION = ("Other", "no_relation")
DIRECTIONS = ("(e1,e2)", "(e2,e1)")


class RelationsInText:
    """Holds two models in memory: one of entities (`token_classification`), one of relations (`relation_extraction`).

    RelationsInText("models/entities", "models/relations").find("The storm caused floods in Kent.")

    A model of relations that has learned entities beside is both: it asks for this with itself.
    """

    def __init__(self, entities: str | Path, relations: str | Path | RelationService):
        self.entities = EntitiesService(entities)
        self.relations = relations if isinstance(relations, RelationService) else RelationService(relations)
        directed = any(label.endswith(DIRECTIONS) for label in self.relations.labels)
        # where a label says the direction, a pair is asked for once, in the order of the text
        self._pairs = combinations if directed else permutations

    def find(self, text: str, *, farthest_characters: int | None = 500) -> list[dict[str, Any]]:
        """Return `{"head", "tail", "label", "probability"}` of every pair with a relation; both are entities.

        An entity is `{"text", "type", "start", "end", "probability"}`, and the probability of a relation is that of its
        label alone. Entities with more than `farthest_characters` between them are not asked for; null asks for all.
        """
        found = self.entities.entities(text)
        near = [
            (one, other)
            for one, other in self._pairs(found, 2)
            if farthest_characters is None
            or max(one["start"], other["start"]) - min(one["end"], other["end"]) <= farthest_characters
        ]
        asked = [
            Pair(
                text,
                (head["start"], head["end"]),
                (tail["start"], tail["end"]),
                *((head["type"], tail["type"]) if self.relations.types else ()),
            )
            for head, tail in near
        ]
        return [
            {"head": head, "tail": tail, **answer}
            for (head, tail), answer in zip(near, self.relations.answers(asked), strict=True)
            if answer["label"] not in NO_RELATION
        ]
