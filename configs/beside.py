"""A head that is learned beside another one, on the same weights and from data of its own (multi-task learning).

finetuning:
  head: relation_extraction
  data: {kind: jsonl, path: relations.jsonl}
  beside:
    entities: {head: token_classification, data: {kind: conll, path: entities.conll}, weight: 0.5}

loss of a step = mean of finetuning.head + 0.5 * mean of entities
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from configs.base import Config
from configs.component import OneOf, members
from configs.tuning import Choice, Range


class BesideConfig(Config):
    """One more head on the same weights, what it learns from, and what it counts."""

    model_config = ConfigDict(title="Learned beside")

    head: Annotated[Any, OneOf("lm_modules.heads")]
    """What the model is asked to produce as well."""
    data: Annotated[Any, OneOf("lm_modules.data.labelled")]
    """Its labelled examples."""
    weight: Annotated[float, Field(gt=0)] | Range | Choice = 1.0
    """What its loss counts where that of `finetuning.head` counts 1."""
    batch_examples: int | None = Field(default=None, ge=1)
    """Its examples in the batch of one step, which has those of all others besides; null takes as many as
    `optimization.batch_examples`."""


def require_names(names: Iterable[str]) -> None:
    """Raise a ValueError if a name is no plain word, or that of a figure."""
    taken = {"loss", "train", "validation", "test", *members("lm_modules.evaluation.metrics")}
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in taken:
            raise ValueError(
                f"what is learned beside cannot be called {name!r}; take small letters, digits and _, but no name of a "
                "metric or of a split"
            )


def require_fields(where: str, head: Any, data: Any) -> None:
    """Raise a ValueError if the data is known to lack what a head reads."""
    wanted = (*head.inputs, head.target)
    if data.gives is not None and set(wanted).difference(data.gives):
        raise ValueError(
            f"{where}.head {head.kind} reads {', '.join(wanted)}, and {where}.data {data.kind} gives "
            f"{', '.join(data.gives)} only; choose another of the two"
        )
