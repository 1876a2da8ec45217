"""Predict the next token (Radford et al. 2018).

text     the  cat  sat  on   the
inputs   the  cat  sat  on
labels   cat  sat  on   the

Filled in the middle (Bavarian et al. 2022, arXiv 2207.14255, section 3: prefix, suffix, middle), a document of a row

    a b c d e f      becomes      <prefix> a b <suffix> e f <middle> c d      cut where the document ended
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from lm_modules.objectives import NOT_SCORED, Batch, Objective

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from configs.model import ModelConfig
    from lm_modules.data.rows import Rows
    from lm_modules.data.vocabulary import Vocabulary

PROMPT_TOKENS, WRITTEN_TOKENS, TEMPERATURE = 16, 48, 0.8
"""What a sample during training is given, how much it writes, and how freely."""
SHORTEST_TO_FILL = 16
"""Documents of fewer tokens in a row are left as they are."""


class CausalLm(Objective):
    """Next-token prediction with the decoder."""

    model_config = ConfigDict(title="Causal language modelling")
    overlap: ClassVar[int] = 1
    continues_text: ClassVar[bool] = True
    stock_class: ClassVar[str | None] = "AutoModelForCausalLM"
    reads_padding: ClassVar[bool] = True

    kind: Literal["causal_lm"] = "causal_lm"
    """Predict the next token."""
    isolate_documents: bool = False
    """Read nothing before the end-of-text token that a document begins with; else a row reads across its documents."""
    fill_in_middle_fraction: float = Field(default=0.0, ge=0, le=1)
    """Part of the rows in which a document is rearranged so that its middle is to be filled in."""

    @property
    def scores_every_token(self) -> bool:  # type: ignore[override]
        """Whether rows are the text as it stands: with a middle to fill in they lack tokens and have marks."""
        return self.fill_in_middle_fraction == 0

    def row_length(self, context_length: int) -> int:
        """Return one token more than is read: the label of the last."""
        return context_length + 1

    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Shift by one, after rearranging documents if that is asked for."""
        if self.fill_in_middle_fraction:
            tokens_BL = _fill_in_middle(tokens_BL, self.fill_in_middle_fraction, vocabulary, generator)
        batch = {"tokens": tokens_BL[:, :-1], "labels": tokens_BL[:, 1:]}
        if self.isolate_documents:
            batch["documents"] = (batch["tokens"] == vocabulary.end_of_text_id).cumsum(dim=1)
        return batch

    def corrupt_rows(self, rows: Rows, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Do the same, and score no padding; as it is behind the text, nothing reads it either."""
        batch = self.corrupt(rows.tokens, vocabulary, generator)
        if rows.text_lengths is not None:
            batch["labels"] = batch["labels"].masked_fill(~rows.text()[:, 1:], NOT_SCORED)
        return batch

    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
        """Return the decoder."""
        from lm_modules.model.transformer import build_transformer

        scales = model.parametrization.scales(model, vocabulary.size, batch_tokens)
        return build_transformer(model, vocabulary.size, scales, causal=True)

    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss": mean nats per token}."""
        return {"loss": network.nats(batch["tokens"], batch["labels"], batch.get("documents"))}

    def training_flops(self, model: ModelConfig, vocab_size: int) -> float:
        """Return the operations of the layers, and of the readout of every position."""
        from lm_modules.model.cost import layers_flops, readout_flops

        length = model.context_length
        return layers_flops(model, length, causal=True) + readout_flops(model, vocab_size, length)

    def write(
        self, network: Any, text_L: Tensor, vocabulary: Vocabulary, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Continue the beginning of the text, token by token; it is read anew for each, which suits a short one."""
        import torch

        given = min(PROMPT_TOKENS, len(text_L) // 2)
        tokens_L = text_L[:given]
        for _ in range(min(WRITTEN_TOKENS, len(text_L) - given)):
            logits_V = network(tokens_L[None])[0, -1].float().cpu()
            chance_V = torch.softmax(logits_V / TEMPERATURE, dim=-1)
            drawn_1 = torch.multinomial(chance_V, 1, generator=generator)
            tokens_L = torch.cat((tokens_L, drawn_1.to(text_L.device)))
        return tokens_L[:given], tokens_L[given:]

    def architecture(self, model: ModelConfig) -> str:
        """Return Llama; Qwen3 for normed queries and keys; Ministral for local layers without them."""
        model.refuse_for("a decoder", "encoder")
        model.refuse_for("a stock decoder", "local_rope_theta")
        if model.query_key_norm:
            return "qwen3"
        return "llama" if model.sliding_window is None else "ministral"


def _fill_in_middle(tokens_BL: Tensor, fraction: float, vocabulary: Vocabulary, generator: torch.Generator) -> Tensor:
    """Rearrange the longest document of some rows; its last three tokens make room for the marks."""
    import torch

    prefix, suffix, middle = (torch.tensor([each]) for each in vocabulary.fill_ids)
    tokens_BL = tokens_BL.clone()
    chosen_B = torch.rand(len(tokens_BL), generator=generator) < fraction
    cuts_B2 = torch.rand(len(tokens_BL), 2, generator=generator).sort(dim=1).values
    for row in chosen_B.nonzero()[:, 0].tolist():
        start, end = _longest_document(tokens_BL[row], vocabulary.end_of_text_id)
        length = end - start - 3
        if length + 3 < SHORTEST_TO_FILL:
            continue
        text = tokens_BL[row, start : start + length]
        low, high = (cuts_B2[row] * (length + 1)).long().tolist()
        pieces = (prefix, text[:low], suffix, text[high:], middle, text[low:high])
        tokens_BL[row, start:end] = torch.cat(pieces)
    return tokens_BL


def _longest_document(tokens_L: Tensor, end_of_text_id: int) -> tuple[int, int]:
    ends = [-1, *(tokens_L == end_of_text_id).nonzero()[:, 0].tolist(), len(tokens_L)]
    spans = [(one + 1, other) for one, other in pairwise(ends)]
    return max(spans, key=lambda span: span[1] - span[0])
