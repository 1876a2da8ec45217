"""Several conversations in one row, none of which reads another.

    rows         a a a a b b b       c c c c c c .       b and c could stand in rows of their own: a batch of less width
    positions    0 1 2 3 0 1 2       0 1 2 3 4 5 0

Where positions begin anew, the models of `transformers` begin a new text and attend to nothing before it
(`masking_utils.find_packed_sequence_indices`), if they are given no padding mask and keep no cache. A row is as long as
the longest conversation of the batch, so packing never makes a row wider. The mean of the loss is over all targets of
the batch, however they are packed.
"""

# B rows of the batch, L length, N targets, T texts, V vocabulary

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lm_modules.heads import PAD_MULTIPLE
from lm_modules.heads._batches import padded

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

NO_TARGET = -100
"""In place of a target where there is none."""

Text = tuple[list[int], list[int]]
"""Token ids, and the target of each: itself, or NO_TARGET."""

PROBE_TOKENS = (3, 5)
"""Lengths of the two texts by which a network shows that it keeps texts apart."""


def rows_of(lengths: Sequence[int]) -> list[list[int]]:
    """Return which texts stand in each row, packed into as few rows as are found by best fit decreasing."""
    import numpy as np

    from lm_modules.data.row_plan import best_fit_decreasing

    capacity = math.ceil(max(lengths) / PAD_MULTIPLE) * PAD_MULTIPLE
    order_N = np.argsort(-np.asarray(lengths), kind="stable")
    row_of_N = best_fit_decreasing(np.asarray(lengths)[order_N], capacity)
    rows: list[list[int]] = [[] for _ in range(int(row_of_N.max()) + 1)]
    for row, place in zip(row_of_N.tolist(), order_N.tolist(), strict=True):
        rows[row].append(place)
    return rows


def batch_of(texts: Sequence[Text], pad_token_id: int, *, packed: bool) -> dict[str, Tensor]:
    """Return tokens, positions, targets, and the number of the text that each token is of (-1 is padding), all [B, L].

    Without packing each text has a row, and there is an attention mask in place of the positions, for networks that
    know no other way.
    """
    rows = rows_of([len(tokens) for tokens, _ in texts]) if packed else [[place] for place in range(len(texts))]
    batch = {
        "input_ids": padded([[token for place in row for token in texts[place][0]] for row in rows], pad_token_id),
        "targets": padded([[target for place in row for target in texts[place][1]] for row in rows], NO_TARGET),
        "text": padded([[place for place in row for _ in texts[place][0]] for row in rows], -1),
    }
    if packed:
        positions = [[position for place in row for position in range(len(texts[place][0]))] for row in rows]
        batch["position_ids"] = padded(positions, 0)
    else:
        batch["attention_mask"] = (batch["text"] >= 0).long()
    return batch


def predicted_targets(network: PreTrainedModel, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits before every target in float32, [N, vocabulary], the targets, [N], and their texts, [N]."""
    names = ("input_ids", "attention_mask", "position_ids")
    # with a cache, positions that begin anew would no longer part texts
    found = network(**{name: batch[name] for name in names if name in batch}, use_cache=False)
    targets_BL, text_BL = batch["targets"][:, 1:], batch["text"][:, 1:]
    is_target_BL = targets_BL != NO_TARGET
    return found.logits[:, :-1][is_target_BL].float(), targets_BL[is_target_BL], text_BL[is_target_BL]


def sums_of_texts(network: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Return of the targets of each text, in float32: nats, how many, and how many were the likeliest, [T, 3]."""
    import torch
    from torch.nn.functional import cross_entropy

    logits_NV, targets_N, text_N = predicted_targets(network, batch)
    nats_N = cross_entropy(logits_NV, targets_N, reduction="none")
    right_N = (logits_NV.detach().argmax(-1) == targets_N).float()
    columns_N3 = torch.stack([nats_N, torch.ones_like(nats_N), right_N], dim=1)
    num_texts = int(batch["text"].max()) + 1
    return columns_N3.new_zeros(num_texts, 3).index_add(0, text_N, columns_N3)


def require_texts_kept_apart(network: PreTrainedModel) -> None:
    """Raise a ValueError if what the network says of a text changes with what stands before it in a row.

    Networks that remember (Mamba), or that count positions from a mask of their own, do not part texts by positions.
    """
    import torch

    embedding: Any = network.get_input_embeddings()
    vocabulary = embedding.weight.shape[0]
    one, other = (torch.arange(length) % vocabulary for length in PROBE_TOKENS)
    packed = {"input_ids": torch.cat([one, other])[None], "position_ids": torch.cat([one, other])[None]}
    with torch.inference_mode():
        beside = network(**packed, use_cache=False).logits[:, len(one) :]
        alone = network(input_ids=other[None], use_cache=False).logits
    if not torch.allclose(beside, alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max())):
        raise ValueError(
            f"{type(network).__name__} does not keep texts of one row apart, so that conversations would read each "
            "other; set packing to false in finetuning.head"
        )
