"""Batches of examples of similar length, so that little of a batch is padding.

Every epoch shuffles all examples, cuts the order into pools of 16 batches, sorts each pool by length, cuts it into
batches and shuffles these. Which examples make the batch of a step depends on the lengths, the seed and the step alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

POOL_BATCHES = 16


def steps_per_epoch(num_examples: int, batch_examples: int) -> int:
    """Return the steps in which every example is seen once; the last batch of an epoch may be smaller."""
    return math.ceil(num_examples / batch_examples)


class LengthGroupedBatches:
    """The rows of every step: `batches[step]` is a list of places in `lengths`."""

    def __init__(
        self, lengths: Sequence[int], batch_examples: int, seed: int, *, pool_batches: int = POOL_BATCHES
    ) -> None:
        """Pools of one batch leave the lengths in each to chance."""
        self.pool_batches = pool_batches
        self.lengths = np.asarray(lengths)
        self.batch_examples = batch_examples
        self.seed = seed
        self.steps_per_epoch = steps_per_epoch(len(lengths), batch_examples)
        self._epoch = lru_cache(maxsize=1)(self._draw_epoch)

    def __getitem__(self, step: int) -> list[int]:
        epoch, place = divmod(step, self.steps_per_epoch)
        return self._epoch(epoch)[place]

    def _draw_epoch(self, epoch: int) -> list[list[int]]:
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(len(self.lengths))
        pool = self.pool_batches * self.batch_examples
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            order[start : start + pool] = part[np.argsort(self.lengths[part], kind="stable")]
        batches = [order[start : start + self.batch_examples] for start in range(0, len(order), self.batch_examples)]
        return [batches[place].tolist() for place in generator.permutation(len(batches))]
