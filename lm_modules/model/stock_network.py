"""A stock model of `transformers`, trained as it is through the same objectives as our networks.

Nothing is scaled: every weight learns at the plain learning rate (standard parametrization), and biases and the gains
of norms do not decay. Dropout stays off, whatever the model's configuration says: the loss of a step must not depend
on how its batch is cut, nor the training graph differ from the model that is exported.
"""

# B batch, L length, S source length, V vocabulary

from __future__ import annotations

import inspect
import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lm_modules.model.attention import causal_mask
from lm_modules.model.parametrization import MatrixScale
from lm_modules.model.vocabulary_loss import CHUNK_ROWS, vocabulary_loss
from lm_modules.objectives import NOT_SCORED

logger = logging.getLogger(__name__)

AGREEMENT = 1e-3
"""Logits that should agree may differ by so much."""
PLAIN = MatrixScale(initial_std=0.0)
"""The constants of a readout that nothing scales."""


class StockNetwork(nn.Module):
    """A decoder (`AutoModelForCausalLM`) or an encoder (`AutoModelForMaskedLM`)."""

    def __init__(self, stock: Any) -> None:
        super().__init__()
        self.stock = stock.eval()
        self.reads_out_in_chunks, self.loss_chunk_rows = False, CHUNK_ROWS
        self.register_state_dict_post_hook(_without_copies)
        self.register_load_state_dict_pre_hook(_with_copies)

    def train(self, mode: bool = True) -> StockNetwork:
        """Leave the stock model in evaluation mode, so that nothing is dropped."""
        super().train(mode)
        self.stock.eval()
        return self

    def forward(self, tokens_BL: Tensor, documents_BL: Tensor | None = None) -> Tensor:
        """Return logits, [batch, length, vocabulary]; `documents_BL` numbers the documents of a row, kept apart."""
        return self._called(self.stock, **self._inputs(tokens_BL, documents_BL)).logits

    def _inputs(self, tokens_BL: Tensor, documents_BL: Tensor | None = None) -> dict[str, Tensor]:
        if documents_BL is None:
            return {"input_ids": tokens_BL}
        same_BLL = documents_BL[:, :, None] == documents_BL[:, None, :]
        allowed_B1LL = (same_BLL & causal_mask(tokens_BL.shape[1], tokens_BL.device))[:, None]
        apart: dict[str, Tensor] = {"attention_mask": allowed_B1LL}
        if "position_ids" in inspect.signature(self.stock.forward).parameters:
            apart["position_ids"] = _positions(documents_BL)
        return {"input_ids": tokens_BL, **apart}

    def nats(self, tokens_BL: Tensor, labels_BL: Tensor, documents_BL: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy over labels that are not -100, in nats and at least float32."""
        return self._nats(self._inputs(tokens_BL, documents_BL), labels_BL)

    def scale_table(self) -> dict[str, MatrixScale]:
        """Return the constants of every weight by its name."""
        return {name: _scale(name, parameter, self.stock) for name, parameter in self.named_parameters()}

    def compile_layers(self) -> None:
        """Compile each layer in place; equal layers share the compiled code."""
        for module in self.stock.modules():
            if isinstance(module, nn.ModuleList):
                for layer in module:
                    layer.compile()

    def _nats(self, inputs: dict[str, Tensor], labels_BL: Tensor) -> Tensor:
        if not self.reads_out_in_chunks:
            return _nats(self._called(self.stock, **inputs).logits, labels_BL)
        scored_BL = labels_BL != NOT_SCORED
        hidden_ND = self._called(self.stock.base_model, **inputs).last_hidden_state[scored_BL]
        readout_VD = self.stock.get_output_embeddings().weight
        return vocabulary_loss(hidden_ND, readout_VD, labels_BL[scored_BL], PLAIN, self.loss_chunk_rows)

    def _called(self, module: Any, **inputs: Tensor) -> Any:
        caches = "use_cache" in inspect.signature(module.forward).parameters
        return module(**inputs, use_cache=False) if caches else module(**inputs)


class StockEncoderDecoder(StockNetwork):
    """A sequence-to-sequence model (`AutoModelForSeq2SeqLM`)."""

    def forward(self, source_BS: Tensor, target_BL: Tensor) -> Tensor:  # type: ignore[override]
        """Return logits, [batch, target length, vocabulary]; the target begins with the model's own first token."""
        return self._called(self.stock, **self._inputs(source_BS, target_BL)).logits

    def _inputs(self, source_BS: Tensor, target_BL: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        start_B1 = torch.full_like(target_BL[:, :1], self.stock.config.decoder_start_token_id)
        target_BL = torch.cat((start_B1, target_BL[:, 1:]), dim=1)
        return {"input_ids": source_BS, "decoder_input_ids": target_BL}

    def nats(self, source_BS: Tensor, target_BL: Tensor, labels_BL: Tensor) -> Tensor:  # type: ignore[override]
        """Return the mean cross-entropy over labels that are not -100, in nats and at least float32."""
        return self._nats(self._inputs(source_BS, target_BL), labels_BL)


def read_out_in_chunks(network: StockNetwork, length: int) -> None:
    """Let the loss be read out in chunks if the logits are the last hidden states times one matrix, to the last bit.

    Where there is more in between, or after it, or it learns, all logits of a batch are made at once; the log says so.
    """
    network.reads_out_in_chunks = _has_plain_readout(network, _some_tokens(network, length))
    if not network.reads_out_in_chunks:
        logger.info(
            "%s does more than one matrix product between its last hidden states and its logits: the logits of all "
            "rows exist at once, and compute.loss_chunk_rows changes nothing",
            type(network.stock).__name__,
        )


def _has_plain_readout(network: StockNetwork, tokens_BL: Tensor) -> bool:
    stock, readout = network.stock, network.stock.get_output_embeddings()
    base = stock.base_model
    if base is stock or not isinstance(readout, nn.Linear) or readout.bias is not None:
        return False
    known = {*base.parameters(), readout.weight}
    if any(each not in known for each in stock.parameters()):
        return False
    inputs = network._inputs(*[tokens_BL] * (2 if isinstance(network, StockEncoderDecoder) else 1))
    with torch.no_grad():
        hidden_BLD = getattr(network._called(base, **inputs), "last_hidden_state", None)
        if hidden_BLD is None or hidden_BLD.shape[-1] != readout.in_features:
            return False
        return torch.equal(F.linear(hidden_BLD, readout.weight), network._called(stock, **inputs).logits)


def require_reading(network: StockNetwork, *, causal: bool, length: int) -> None:
    """Raise a ValueError unless the model reads rows of this length, backward only or both ways as its objective needs.

    A decoder that saw the token it has to predict would learn to copy it, and its loss would look splendid.
    """
    tokens_BL = _some_tokens(network, length)
    other_BL = tokens_BL.clone()
    other_BL[:, -1] = tokens_BL[:, 0]
    name = type(network.stock).__name__
    try:
        with torch.no_grad():
            before_BV, after_BV = (network(each)[:, : length // 2] for each in (tokens_BL, other_BL))
    except (IndexError, RuntimeError) as error:
        raise ValueError(
            f"{name} cannot read {length} tokens ({error}); set model.context_length to what it was made for"
        ) from error
    if torch.allclose(before_BV, after_BV, atol=1e-6) != causal:
        wanted, objective = ("backward only", "causal_lm") if causal else ("both ways", "masked_lm")
        raise ValueError(f"{name} does not read {wanted}, as {objective} needs; take another objective or another base")


def require_isolation(network: StockNetwork, length: int) -> None:
    """Raise a ValueError unless a document behind another in a row is read as if it stood alone.

    A long one is among those that are tried: where layers read a window, the mask that keeps documents apart undoes it.
    """
    tokens_BL = _some_tokens(network, length)
    for cut in (1, length // 2):
        documents_BL = (torch.arange(length) >= cut).long().expand(len(tokens_BL), -1)
        with torch.no_grad():
            packed_BLV, alone_BLV = network(tokens_BL, documents_BL)[:, cut:], network(tokens_BL[:, cut:])
        if not torch.allclose(packed_BLV, alone_BLV, atol=AGREEMENT, rtol=AGREEMENT):
            raise ValueError(
                f"{type(network.stock).__name__} does not keep the documents of a row apart; set "
                "objective.isolate_documents to false"
            )


def _some_tokens(network: StockNetwork, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(4, network.stock.config.vocab_size, (2, length), generator=generator)


def _nats(logits_BLV: Tensor, labels_BL: Tensor) -> Tensor:
    scored = logits_BLV.flatten(0, 1)
    scored = scored.float() if scored.dtype in (torch.bfloat16, torch.float16) else scored
    total = F.cross_entropy(scored, labels_BL.flatten(), ignore_index=NOT_SCORED, reduction="sum")
    return total / (labels_BL != NOT_SCORED).sum().clamp(min=1)


def _positions(documents_BL: Tensor) -> Tensor:
    """Return the place of each token in its document, from 0."""
    place_L = torch.arange(documents_BL.shape[1], device=documents_BL.device)
    first_BL = torch.ones_like(documents_BL, dtype=torch.bool)
    first_BL[:, 1:] = documents_BL[:, 1:] != documents_BL[:, :-1]
    return place_L - torch.where(first_BL, place_L, 0).cummax(dim=1).values


def _scale(name: str, parameter: Tensor, stock: Any) -> MatrixScale:
    """Return plain constants; Muon may move the linear maps in the layers, whose names hold the layer's number."""
    module = stock.get_submodule(name.removeprefix("stock.").rpartition(".")[0])
    hidden = isinstance(module, nn.Linear) and any(part.isdigit() for part in name.split("."))
    orthogonal = module.in_features**-0.5 if hidden and parameter.ndim == 2 else None
    return MatrixScale(initial_std=0.0, orthogonal_learning_rate=orthogonal, decays=parameter.ndim > 1)


def _copies(stock: Any) -> dict[str, str]:
    """Return the names of weights that are other weights (a readout that is the embedding), with the first name."""
    first: dict[Tensor, str] = {}
    found = {}
    for name, tensor in (*stock.named_parameters(remove_duplicate=False), *stock.named_buffers(remove_duplicate=False)):
        if tensor in first:
            found[name] = first[tensor]
        else:
            first[tensor] = name
    return found


def _without_copies(module: Any, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    """Leave them out: a file of weights holds each once."""
    for name in _copies(module.stock):
        state.pop(f"{prefix}stock.{name}", None)


def _with_copies(module: Any, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    for name, first in _copies(module.stock).items():
        if f"{prefix}stock.{first}" in state:
            state[f"{prefix}stock.{name}"] = state[f"{prefix}stock.{first}"]
