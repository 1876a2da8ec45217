"""Batches by length: every example once an epoch, little padding, a function of the step alone."""

from __future__ import annotations

import numpy as np

from lm_modules.data.length_grouping import LengthGroupedBatches

LENGTHS = np.random.default_rng(0).lognormal(3, 1, size=1003).astype(int) + 1


def test_every_epoch_holds_every_example_once_in_another_order():
    batches = LengthGroupedBatches(LENGTHS, 32, seed=1)
    assert batches.steps_per_epoch == 32
    epochs = [[row for step in range(32) for row in batches[epoch * 32 + step]] for epoch in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(1003))
    assert epochs[0] != epochs[1]


def test_a_step_depends_on_nothing_that_was_asked_before():
    straight = LengthGroupedBatches(LENGTHS, 32, seed=1)
    in_order = [straight[step] for step in range(70)]
    assert LengthGroupedBatches(LENGTHS, 32, seed=1)[69] == in_order[69]
    assert straight[3] == in_order[3]
    assert LengthGroupedBatches(LENGTHS, 32, seed=2)[3] != in_order[3]


def test_most_of_a_batch_is_text():
    batches = LengthGroupedBatches(LENGTHS, 32, seed=1)
    padded = sum(len(batches[step]) * LENGTHS[batches[step]].max() for step in range(32))
    shuffled = np.random.default_rng(1).permutation(LENGTHS)
    ungrouped = sum(len(part) * part.max() for part in np.array_split(shuffled, 32))
    assert LENGTHS.sum() / padded > 0.7
    assert ungrouped > 2 * padded
