"""What heads have in common in making batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lm_modules.heads import PAD_MULTIPLE, Encoded

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def padded(rows: Sequence[Sequence[float]], fill: float, *, on_the_left: bool = False) -> Tensor:
    """Return rows of numbers of the type of `fill`, [rows, the longest rounded up to a multiple of `PAD_MULTIPLE`]."""
    import torch

    longest = math.ceil(max(map(len, rows)) / PAD_MULTIPLE) * PAD_MULTIPLE
    found_BL = torch.full((len(rows), longest), fill)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), longest) if on_the_left else slice(len(row))
        found_BL[number, place] = torch.tensor(row, dtype=found_BL.dtype)
    return found_BL


def inputs_of(encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
    """Return `input_ids` and `attention_mask`, [batch, length], and `token_type_ids` where there are any."""
    batch = {
        "input_ids": padded([each.token_ids for each in encoded], pad_token_id),
        "attention_mask": padded([[1] * len(each.token_ids) for each in encoded], 0),
    }
    if any(each.token_type_ids for each in encoded):
        segments = [each.token_type_ids or [0] * len(each.token_ids) for each in encoded]
        batch["token_type_ids"] = padded(segments, 0)
    return batch


def outputs_of(network: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Return the logits in float32, for what `inputs_of` gave."""
    names = ("input_ids", "attention_mask", "token_type_ids")
    return network(**{name: batch[name] for name in names if name in batch}).logits.float()
