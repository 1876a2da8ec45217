"""What heads that write have in common: what a stock language model makes of a source, and of a text behind it.

An encoder reads the source, and its decoder the text. A decoder alone reads both in one row: sources are moved to the
right end of their columns, so that no row has a gap, and rows of one batch begin to write at the same place.

    . . a b c | x y end .
    d e f g h | z end . .
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# B rows of a batch, S tokens of the source, T tokens of the text behind it, V vocabulary

NOT_SCORED = -100
"""Where a text has ended already; what `torch` and `transformers` ignore."""


def logits_of(network: PreTrainedModel, batch: dict[str, Tensor], text_BT: Tensor) -> Tensor:
    """Return the logits of every token of a text after the source and what is before it, [B, T, V], in float32."""
    import torch

    if network.config.is_encoder_decoder:
        found = network(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            decoder_input_ids=network.prepare_decoder_input_ids_from_labels(text_BT),  # type: ignore[operator]
            use_cache=False,
        )
        return found.logits.float()
    source_BS, there_BS = _at_the_right(batch["input_ids"], batch["attention_mask"])
    there_BL = torch.cat([there_BS, (text_BT != NOT_SCORED).to(there_BS.dtype)], dim=1)
    length = text_BT.shape[1] + 1
    optional = {"position_ids": (there_BL.cumsum(1) - 1).clamp(min=0), "logits_to_keep": length, "use_cache": False}
    logits_BTV = network(
        input_ids=torch.cat([source_BS, text_BT.clamp(min=0)], dim=1),
        attention_mask=there_BL,
        **_known(network, optional),
    ).logits
    return logits_BTV[:, -length:-1].float()


def write(network: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Return the tokens that the model writes as its `generation_config` says, [B, T], `NOT_SCORED` after the end."""
    import torch

    source_BS, there_BS = batch["input_ids"], batch["attention_mask"]
    if network.config.is_encoder_decoder:
        num_before = 1  # the token that starts every answer
    else:
        source_BS, there_BS = _at_the_right(source_BS, there_BS)
        num_before = source_BS.shape[1]
    written_BT = network.generate(input_ids=source_BS, attention_mask=there_BS)[:, num_before:]  # type: ignore[operator]
    is_end_BT = written_BT == network.generation_config.eos_token_id
    return torch.where((is_end_BT.cumsum(1) - is_end_BT.long()) > 0, NOT_SCORED, written_BT)


def mean_losses(logits_BTV: Tensor, text_BT: Tensor) -> Tensor:
    """Return the mean loss in nats over the tokens of each text, [B]."""
    from torch.nn.functional import cross_entropy

    loss_BT = cross_entropy(logits_BTV.transpose(1, 2), text_BT, ignore_index=NOT_SCORED, reduction="none")
    return loss_BT.sum(1) / (text_BT != NOT_SCORED).sum(1)


def _at_the_right(source_BS: Tensor, there_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows that are padded on the right, padded on the left."""
    order_BS = there_BS.argsort(dim=1, stable=True)
    return source_BS.gather(1, order_BS), there_BS.gather(1, order_BS)


def _known(network: Any, optional: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that this architecture has: not all have positions, or can leave logits out."""
    stock = network.get_base_model() if hasattr(network, "get_base_model") else network
    names = inspect.signature(stock.forward).parameters
    return {name: value for name, value in optional.items() if name in names}
