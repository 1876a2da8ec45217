"""One network that several objectives train: that of the objective which holds the networks of all others.

words     masked_lm        trains  encoder
pairs     next_sentence    trains  encoder, head       holds the first: it is built, and `words` is handed "encoder"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from configs.model import ModelConfig
    from lm_modules.data.vocabulary import Vocabulary
    from lm_modules.objectives import Objective

Objectives = Mapping[str, "Objective"]
"""The objectives of one run by the names of their parts."""


def places(objectives: Objectives) -> tuple[str, dict[str, str]]:
    """Return the part whose network holds those of the most parts, and the place of each of them in it.

    Of several the first is taken. A part that is missing trains another network.
    """
    found = {}
    for name, objective in objectives.items():
        all_places = {other: objective.place_of(each) for other, each in objectives.items()}
        found[name] = {other: place for other, place in all_places.items() if place is not None}
    holder = max(found, key=lambda name: len(found[name]))
    return holder, found[holder]


def common_architecture(objectives: Objectives, model: ModelConfig) -> str:
    """Return the architecture of the network that holds those of all; a ValueError if none does."""
    holder, held = places(objectives)
    expected = objectives[holder].architecture(model)
    for name, objective in objectives.items():
        if name not in held:
            raise ValueError(
                f"the parts of a mixture train one network, and {holder!r} is exported as {expected}, {name!r} as "
                f"{objective.architecture(model)}, which is no part of it; leave one out, or mix objectives of one "
                "network (that of next_sentence holds that of masked_lm)"
            )
    return expected


def common_network(objectives: Objectives, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
    """Return the network that holds those of all, not yet initialised; a ValueError if one is of other weights."""
    import torch

    common_architecture(objectives, model)
    holder, held = places(objectives)
    with torch.device("meta"):
        networks = {name: each.network(model, vocabulary, batch_tokens) for name, each in objectives.items()}
    for name, place in held.items():
        if _shapes(networks[name]) != _shapes(networks[holder].get_submodule(place)):
            raise ValueError(
                f"the parts {holder!r} and {name!r} of the mixture need networks of different weights; give them "
                "settings that build the same network"
            )
    return objectives[holder].network(model, vocabulary, batch_tokens)


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in network.state_dict().items()}
