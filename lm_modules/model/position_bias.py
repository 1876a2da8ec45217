"""Relative positions as a bias on attention logits, learned by bucket of distance (Raffel et al. 2020, section 2.1).

Near distances have a bucket each, far ones share buckets that widen in the logarithm up to `max_distance`, in the
layout of Hugging Face's T5.
"""

# H heads, L length, S length that is read

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lm_modules.model.parametrization import MatrixScale

NUM_BUCKETS, MAX_DISTANCE = 32, 128


class PositionBias(nn.Module):
    """A number for every head and bucket; one table serves all layers of a stack."""

    def __init__(
        self,
        heads: int,
        scale: MatrixScale,
        *,
        both_ways: bool,
        num_buckets: int = NUM_BUCKETS,
        max_distance: int = MAX_DISTANCE,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_buckets, heads))
        self.scale, self.both_ways = scale, both_ways
        self.num_buckets, self.max_distance = num_buckets, max_distance

    def forward(self, length: int) -> Tensor:
        """Return [1, heads, length, length]: row the reading position, column the one that is read."""
        position_L = torch.arange(length, device=self.weight.device)
        bucket_LS = self._bucket(position_L[None, :] - position_L[:, None])
        return self.weight[bucket_LS].permute(2, 0, 1)[None]

    def _bucket(self, ahead_LS: Tensor) -> Tensor:
        """Return the bucket of each distance; positive ones lie ahead of the reading position."""
        num_buckets, bucket_LS = self.num_buckets, torch.zeros_like(ahead_LS)
        if self.both_ways:
            num_buckets //= 2
            bucket_LS = (ahead_LS > 0) * num_buckets
            distance_LS = ahead_LS.abs()
        else:
            distance_LS = (-ahead_LS).clamp(min=0)
        exact = num_buckets // 2
        far = torch.log(distance_LS.float().clamp(min=1) / exact) / math.log(self.max_distance / exact)
        far_LS = (exact + (far * (num_buckets - exact)).long()).clamp(max=num_buckets - 1)
        return bucket_LS + torch.where(distance_LS < exact, distance_LS, far_LS)
