"""An encoder with a head that answers a question about the whole row from its first token."""

# B batch, L length, D width

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lm_modules.model.scaled import ScaledLinear
from lm_modules.model.transformer import Transformer
from lm_modules.objectives import NOT_SCORED

NUM_ANSWERS = 2


class PairEncoder(nn.Module):
    """`answer(gelu(dense(first hidden state)))`, as the classifiers of stock EuroBERT.

    With a `norm`, as those of ModernBERT, `answer(norm(gelu(dense(first hidden state))))`.
    """

    def __init__(self, encoder: Transformer, width: int, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder, self.norm = encoder, norm
        self.dense = ScaledLinear(width, width, encoder.scales.matrices["dense"])
        self.answer = ScaledLinear(width, NUM_ANSWERS, encoder.scales.matrices["answer"])

    def answer_of(self, hidden_BLD: Tensor) -> Tensor:
        """Return logits [batch, 2]: no, yes."""
        pooled_BD = F.gelu(self.dense(hidden_BLD[:, 0]))
        return self.answer(pooled_BD if self.norm is None else self.norm(pooled_BD))

    def nats_of(self, hidden_BLD: Tensor, answers_B: Tensor) -> Tensor:
        """Return the mean cross-entropy of the answers that are not -100, in nats and float32; 0 if there are none."""
        logits_B2 = self.answer_of(hidden_BLD).float()
        total = F.cross_entropy(logits_B2, answers_B, ignore_index=NOT_SCORED, reduction="sum")
        return total / (answers_B != NOT_SCORED).sum().clamp(min=1)

    def forward(self, tokens_BL: Tensor, documents_BL: Tensor | None = None) -> Tensor:
        """Return the answer's logits, [batch, 2]; `documents_BL` tells text and padding apart by unequal numbers."""
        return self.answer_of(self.encoder.hidden(tokens_BL, documents_BL))

    def compile_layers(self) -> None:
        """Compile the encoder's layers."""
        self.encoder.compile_layers()
