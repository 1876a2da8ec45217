"""Cross-entropy over the vocabulary without the whole matrix of logits in memory.

Hidden states are read out chunk by chunk. Each chunk's gradient is taken while its logits are at hand (as Liger does,
Hsu et al. 2024, arXiv 2410.10989, section 3.2), so that nothing is computed twice and at most `chunk_rows` rows of
logits exist.
"""

# N scored or unscored positions, D width, V vocabulary, C chunk

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.compute import ComputeConfig
from lm_modules.model.parametrization import MatrixScale
from lm_modules.model.scaled import compute_dtype, times

CHUNK_ROWS = ComputeConfig().loss_chunk_rows


def vocabulary_loss(
    hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor, scale: MatrixScale, chunk_rows: int = CHUNK_ROWS
) -> Tensor:
    """Return the mean cross-entropy in nats over labels that are not -100, in float32.

    The logits are `scale.forward * hidden @ weight.T`; softmax and sums are computed in at least float32.
    """
    return _VocabularyLoss.apply(hidden_ND, weight_VD, labels_N, scale, chunk_rows, torch.is_grad_enabled())


def set_chunk_rows(network: nn.Module, rows: int) -> None:
    """Let every model inside the network read out so many rows at once."""
    reader: Any
    for reader in network.modules():
        if hasattr(reader, "loss_chunk_rows"):
            reader.loss_chunk_rows = rows


class _VocabularyLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        labels_N: Tensor,
        scale: MatrixScale,
        chunk_rows: int,
        wanted: bool,
    ) -> Tensor:
        dtype = compute_dtype(hidden_ND)
        readout_VD = times(weight_VD, scale.forward).to(dtype)
        num_scored = (labels_N >= 0).sum().clamp(min=1)
        sums = [torch.zeros((), dtype=_wide(hidden_ND.dtype), device=hidden_ND.device)]
        hidden_gradient_ND = torch.empty_like(hidden_ND, dtype=dtype) if wanted else None
        weight_gradient_VD = torch.zeros_like(weight_VD) if wanted else None
        backward_VD = times(weight_VD, scale.input_gradient).to(dtype) if wanted else None
        for start in range(0, len(labels_N), chunk_rows):
            rows = slice(start, start + chunk_rows)
            chunk_CD, labels_C = hidden_ND[rows].to(dtype), labels_N[rows]
            logits_CV = F.linear(chunk_CD, readout_VD).to(sums[0].dtype)
            log_probability_CV = torch.log_softmax(logits_CV, dim=-1)
            sums.append(F.nll_loss(log_probability_CV, labels_C, reduction="sum", ignore_index=-100))
            if hidden_gradient_ND is None or weight_gradient_VD is None or backward_VD is None:
                continue
            gradient_CV = _logits_gradient(log_probability_CV, labels_C).to(dtype)
            hidden_gradient_ND[rows] = gradient_CV @ backward_VD
            weight_gradient_VD += gradient_CV.T @ chunk_CD
        if hidden_gradient_ND is not None:
            ctx.save_for_backward(hidden_gradient_ND, weight_gradient_VD, num_scored)
            ctx.scale, ctx.dtypes = scale, (hidden_ND.dtype, weight_VD.dtype)
        return torch.stack(sums).sum() / num_scored  # all at once: pairwise, where one by one rounding adds up

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden_gradient_ND, weight_gradient_VD, num_scored = ctx.saved_tensors
        factor = gradients[0] / num_scored
        hidden = (hidden_gradient_ND * factor).to(ctx.dtypes[0])
        weight = (weight_gradient_VD * (factor * ctx.scale.weight_gradient)).to(ctx.dtypes[1])
        return hidden, weight, None, None, None, None


def _logits_gradient(log_probability_CV: Tensor, labels_C: Tensor) -> Tensor:
    """Return softmax minus one-hot, zero where the label is not scored; overwrites its input."""
    gradient_CV = log_probability_CV.exp_()
    scored_C = labels_C >= 0
    gradient_CV[torch.arange(len(labels_C), device=labels_C.device), labels_C.clamp(min=0)] -= 1
    return gradient_CV.mul_(scored_C[:, None]) if not bool(scored_C.all()) else gradient_CV


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32
